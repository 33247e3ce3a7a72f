"""The Ray shell of one training worker: who it is, where it goes on, and whom it tells."""

import json
import logging
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray.train
from ray.train.torch import get_device
from ray.util.metrics import Gauge

from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import CapacityError, InvalidInputError, ModelyardError, PreemptedError
from modelyard.domain.job import TrainJob
from modelyard.training.corpus import read_corpus
from modelyard.training.disk import explain, find_lack
from modelyard.training.layout import CHECKPOINTS_FOLDER, STOP_FILE
from modelyard.training.recovery import choose_checkpoint
from modelyard.training.settings import TrackingSettings
from modelyard.training.sweep import listed_checkpoints, sweep_checkpoints
from modelyard.training.tracking import Tracker

if TYPE_CHECKING:
    from modelyard.training.engine import Place
    from modelyard.training.history import History
    from modelyard.training.loop import Loop

logger = logging.getLogger(__name__)

GAUGES = {
    "step": "Optimizer steps done",
    "total_steps": "Optimizer steps of the whole run",
    "eta_seconds": "What is left at the present speed",
    "loss": "Mean loss over the learned tokens of the last step",
    "validation_loss": "Mean loss over the learned tokens of held-out rows, as last measured",
    "token_accuracy": "Share of the last step's learned tokens that were the likeliest ones",
    "learning_rate": "Learning rate of the last step",
    "gradient_norm": "Norm of the last step's gradients before clipping",
    "tokens_per_second": "Tokens read in the last step, over all workers",
    "peak_memory_bytes": "Most memory that the first worker has held",
}
"""Fields of Progress that Prometheus gets as `ray_modelyard_training_<field>`, by version."""

SHARED = (CapacityError, InvalidInputError, PreemptedError)
"""What all workers meet in the same step, so that none is left waiting for another."""


def train_worker(config: dict[str, Any]) -> dict[str, str] | None:
    """Train on one worker; every worker of a run calls this.

    config: `spec` (a TrainJob, JSON) and `run` (URI of the run folder).
    Returns None, or what made all workers end together, which a restart would not mend: `error`, `problem` and `remedy`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    spec, run = TrainJob.model_validate_json(config["spec"]), RunFolder(config["run"])
    try:
        _train(spec, run)
    except SHARED as error:
        return {"error": type(error).__name__, "problem": error.problem, "remedy": error.remedy}
    except ModelyardError as error:
        # Others may be waiting for this worker, and only its failure ends their wait. As one string, because an
        # exception that travels to the driver is made anew from its arguments.
        raise RuntimeError(str(error)) from None
    return None


def _train(spec: TrainJob, run: RunFolder) -> None:
    # Here and not above: the driver imports this module too, and DeepSpeed and the model code take many seconds to load.
    from modelyard.training.engine import Place
    from modelyard.training.examples import make_examples
    from modelyard.training.loop import Loop
    from modelyard.training.tokens import load_tokenizer

    context = ray.train.get_context()
    place = Place(context.get_world_rank(), context.get_world_size(), get_device())
    chosen = _choose(run, place)
    base = ArtifactStore(spec.store).open(spec.base_digest)
    tokenizer = load_tokenizer(base)
    examples = make_examples(spec, read_corpus(spec), tokenizer)
    with _open(run, chosen).as_directory() if chosen else nullcontext() as folder:
        loop = Loop(spec, base, examples, tokenizer.pad_token_id, place, Path(folder) if folder else None)
    if chosen:
        logger.info("resumed after step=%d", loop.history.step)
    tell = _Teller(spec, run) if place.rank == 0 else None
    try:
        loop.run(
            tell=tell or (lambda history: None),
            save=lambda loop: save(loop, run, spec.base_digest, _report),
            must_stop=lambda: place.rank == 0 and run.read(STOP_FILE) is not None,
        )
    except BaseException as error:
        if tell:
            tell.tracker.end("KILLED" if isinstance(error, PreemptedError) else "FAILED")
        raise
    if tell:
        tell.tracker.end("FINISHED")


class _Teller:
    """Tells the run folder, Prometheus (through Ray) and MLflow how far a run is."""

    def __init__(self, spec: TrainJob, run: RunFolder) -> None:
        self._run = run
        fine_tune = spec.fine_tune.wire()
        asked = fine_tune.pop("hyperparameters") | {name: json.dumps(value) for name, value in fine_tune.items()}
        self.tracker = Tracker(TrackingSettings(), run.uri, spec.version, asked)
        self._gauges = {
            name: Gauge(f"modelyard_training_{name}", description, tag_keys=("version",)) for name, description in GAUGES.items()
        }
        for gauge in self._gauges.values():
            gauge.set_default_tags({"version": spec.version})

    def __call__(self, history: "History") -> None:
        progress = history.progress()
        self._run.report(progress)
        self.tracker.tell(history)
        for name, gauge in self._gauges.items():
            value = getattr(progress, name)
            if value is not None:
                gauge.set(float(value))


def _choose(run: RunFolder, place: "Place") -> str:
    """The checkpoint that all workers go on from, as the first of them finds; empty for none."""
    import torch

    chosen = [""]
    if place.rank == 0:
        sweep_checkpoints(run)
        chosen = [choose_checkpoint(listed_checkpoints(run) or [], lambda name: _open(run, name).as_directory())]
    torch.distributed.broadcast_object_list(chosen, src=0, device=place.device)
    return chosen[0]


def _open(run: RunFolder, name: str) -> ray.train.Checkpoint:
    return ray.train.Checkpoint(run.filesystem.unstrip_protocol(f"{run.path}/{CHECKPOINTS_FOLDER}/{name}"))


def save(loop: "Loop", run: RunFolder, base_digest: str, report: Callable[[dict[str, Any], Path], None]) -> None:
    """Write a checkpoint and hand it on. Raises CapacityError on all workers when the disk of one has no room for it."""
    from modelyard.training.checkpoints import write_checkpoint

    lack: CapacityError | None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            write_checkpoint(folder, loop.engine, loop.history, base_digest)
            written = sum(path.stat().st_size for path in folder.rglob("*"))
            lack = find_lack(run.uri, written * loop.place.world)
        except Exception as error:
            lack = explain(error)
        (lacking,) = loop.engine.sum(float(lack is not None))
        if lacking:
            raise lack or CapacityError("the disk of another worker has no room for a checkpoint", "see the log of the run")
        report(loop.history.metrics(), folder)


def _report(metrics: dict[str, Any], folder: Path) -> None:
    ray.train.report(metrics, checkpoint=ray.train.Checkpoint(str(folder)))
