"""The driver of a training run: check, train on Ray Train workers, store the adapter. Resumes where an earlier one was killed."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import ray
import ray.train
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from modelyard.artifacts.full_disk import explain_full_disk, local_places
from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError, UnavailableError
from modelyard.domain.fine_tune import Workers
from modelyard.domain.job import TrainJob, TrainResult
from modelyard.domain.resource import Progress
from modelyard.training.cluster import require_room, threads_per_worker
from modelyard.training.corpus import check_corpus
from modelyard.training.layout import CHECKPOINTS_FOLDER, STOP_FILE
from modelyard.training.result import store_trained
from modelyard.training.sweep import sweep_checkpoints
from modelyard.training.worker import SHARED, train_worker

logger = logging.getLogger(__name__)

KEPT_CHECKPOINTS = 2

RAY_ENVIRONMENT = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600"}
"""Ray's own minute is too short for a busy machine: it would start the workers anew, again and again."""


def train(spec: TrainJob, run: RunFolder) -> TrainResult:
    """Fine-tune base weights; the main function of the job.

    Raises NotFoundError and InvalidInputError for a base or a dataset that is missing or unfit and for a loss that diverges,
    CapacityError if the cluster is too small, UnavailableError when workers failed too often.
    """
    run.report(Progress(stage="preparing"), force=True)
    run.remove(STOP_FILE)
    store = ArtifactStore(spec.store)
    check(spec, store)
    # Ray reads RAY_ADDRESS: inside a Ray job that is the cluster; by hand, without it, Ray starts on this machine.
    ray.init(runtime_env={"env_vars": RAY_ENVIRONMENT})
    try:
        checkpoint = _fit(spec, run)
    finally:
        ray.shutdown()
    run.report(Progress(stage="saving", percent=100.0), force=True)
    with checkpoint.as_directory() as folder:
        return store_trained(store, spec, Path(folder))


def check(spec: TrainJob, store: ArtifactStore) -> None:
    """Refuse what cannot be trained, as far as can be seen without loading the model code, which takes many seconds."""
    kind = store.manifest(spec.base_digest).kind
    if kind != "causal-lm":
        raise InvalidInputError(f"base {spec.base_digest[:12]} is {kind!r} weights", "name a causal language model in source.uri")
    check_corpus(spec)


def _fit(spec: TrainJob, run: RunFolder) -> ray.train.Checkpoint:
    """Train, and return the last checkpoint. Ray resumes by itself where the folder has checkpoints of an earlier driver."""
    workers = spec.fine_tune.workers
    resources = ray.cluster_resources()
    require_room(workers, resources)
    sweep_checkpoints(run)  # of an earlier attempt of this job; those of an earlier group of workers are swept by the next group
    run.report(Progress(stage="starting workers"), force=True)
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"spec": spec.model_dump_json(), "run": run.uri},
        scaling_config=ScalingConfig(
            num_workers=workers.count, use_gpu=workers.resources.get("GPU", 0) > 0, resources_per_worker=dict(workers.resources)
        ),
        run_config=RunConfig(
            name=CHECKPOINTS_FOLDER,
            storage_path=run.uri,
            failure_config=FailureConfig(max_failures=spec.fine_tune.max_failures),
            checkpoint_config=_retention(spec),
            worker_runtime_env={"env_vars": _environment(workers, threads_per_worker(workers, resources))},
        ),
    )
    try:
        with _stopping_softly(run):
            result = trainer.fit()
    except ray.train.WorkerGroupError as error:
        full = explain_full_disk(error, local_places(run.uri))
        if full is not None:
            raise full from error
        raise UnavailableError(_root_cause(error, spec.fine_tune.max_failures), f"see the log in {run.uri}") from error
    if result.return_value is not None:
        kind = next(kind for kind in SHARED if kind.__name__ == result.return_value["error"])
        raise kind(result.return_value["problem"], result.return_value["remedy"])
    if result.checkpoint is None:
        raise UnavailableError(f"the workers of {run.uri} ended without a checkpoint", "apply the resource again")
    if spec.fine_tune.hyperparameters.keep == "best":
        # Of equal ones the first.
        return min(result.best_checkpoints, key=lambda kept: (kept[1]["validation_loss"], kept[1]["step"]))[0]
    return result.checkpoint


def _retention(spec: TrainJob) -> CheckpointConfig:
    """The last checkpoint and the one before it; or the last and the best ones."""
    if spec.fine_tune.hyperparameters.keep == "last":
        return CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS)
    return CheckpointConfig(num_to_keep=KEPT_CHECKPOINTS, checkpoint_score_attribute="validation_loss", checkpoint_score_order="min")


@contextmanager
def _stopping_softly(run: RunFolder) -> Iterator[None]:
    """Let SIGTERM ask the workers to save and end, rather than end this process: they see it after the step they are in.

    Whoever sent it sends SIGKILL when it takes too long; then the checkpoint before is the one to go on from.
    """

    def ask(signum: int, frame: FrameType | None) -> None:
        logger.warning("asked to stop: the workers save and end after their step")
        run.write(STOP_FILE, "{}")

    former = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _environment(workers: Workers, threads: int) -> dict[str, str]:
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    return environment if workers.resources.get("GPU", 0) > 0 else environment | {"DS_ACCELERATOR": "cpu"}


def _root_cause(error: ray.train.WorkerGroupError, max_failures: int) -> str:
    """One line: the first worker's failure that is not merely the echo of another's."""
    rank, failure = next(iter(sorted(error.worker_failures.items())), (0, error))
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return f"training failed {max_failures + 1} times; the last time worker {rank} said: {lines[-1] if lines else type(failure).__name__}"
