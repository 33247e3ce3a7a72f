"""Say which job of a Model is more than a namespace's quotas allow, and how many workers are not. Pure: no I/O."""

from collections.abc import Iterator

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import FineTune
from modelyard.domain.job import EvaluateJob, FetchJob, TrainJob
from modelyard.domain.model import Model
from modelyard.domain.observed import Job
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.quota import Quota, count_job, find_excess
from modelyard.operator.ray_manifests import build_ray_job

WORDS = {"train": "the training job", "evaluate": "an evaluation job", "fetch": "the fetch job"}


def find_quota_problem(model: Model, settings: ClusterSettings, quotas: list[Quota]) -> tuple[str, str]:
    """(why a job can never run, why it cannot run now); empty where it can. Workers that fit on no pod are told here, too."""
    warning = ""
    for job in _jobs(model):
        try:
            wanted = _count(model, job, settings)
        except InvalidInputError as error:
            return str(error), ""
        excess = find_excess(wanted, quotas)
        if excess is not None:
            return f"{WORDS[job.kind]} wants {excess}; {_remedy(model, settings, quotas, job)}", ""
        excess = find_excess(wanted, quotas, beside_others=True)
        if excess is not None and not warning:
            warning = f"{WORDS[job.kind]} wants {excess} beside what is in use; it waits until there is room"
    return "", warning


def nearest_count(model: Model, settings: ClusterSettings, quotas: list[Quota]) -> int | None:
    """The most workers, fewer than are asked for, that quotas allow and that share the batch evenly."""
    tune = model.spec.fine_tune
    for count in range(tune.workers.count - 1, 0, -1) if tune else ():
        assert tune is not None
        fewer = tune.model_copy(update={"workers": tune.workers.model_copy(update={"count": count})})
        even = tune.hyperparameters.batch_size % (tune.hyperparameters.micro_batch_size * count) == 0
        if even and find_excess(_count(model, _train(fewer), settings), quotas) is None:
            return count
    return None


def _remedy(model: Model, settings: ClusterSettings, quotas: list[Quota], job: Job) -> str:
    count = nearest_count(model, settings, quotas) if job.kind == "train" else None
    if count is not None:
        return f"set spec.fineTune.workers.count to {count}"
    return "take a smaller profile, or have the quota raised" if job.kind == "train" else "have the quota raised"


def _jobs(model: Model) -> Iterator[Job]:
    """Each kind of job that the Model runs, the largest first. What they are about decides nothing here."""
    if model.spec.fine_tune is not None:
        yield _train(model.spec.fine_tune)
    if model.spec.evaluation is not None:
        yield EvaluateJob(store="", base_digest="", suites=model.spec.evaluation.suites, suite_digests={})
    yield FetchJob(store="", source=model.spec.source, role="causal-lm")


def _train(fine_tune: FineTune) -> TrainJob:
    return TrainJob(store="", version="", base_digest="", fine_tune=fine_tune, dataset_digest="")


def _count(model: Model, job: Job, settings: ClusterSettings) -> dict[str, float]:
    return dict(count_job(build_ray_job(job.kind, model.metadata.namespace, job, model, settings, attempt=1, suspend=False)))
