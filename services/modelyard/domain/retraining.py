"""Decide which rows a Model's version is made of, once they have changed under it. Pure."""

from collections.abc import Callable, Iterable

from modelyard.domain.job import TrainJob
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.names import job_name
from modelyard.domain.refresh import REFRESH_ANNOTATION, Marks, Occasion
from modelyard.domain.stage import Draft

SHORT = 12
"""Digits of a digest that people see."""


def choose_rows(
    model: Model, base_digest: str, versions: Iterable[ModelVersion], draft: Draft, job_of: Callable[[ModelVersion], TrainJob | None]
) -> tuple[str | None, Marks]:
    """The digest of the rows that a version is asked for, and what to remember of the last request by hand.

    job_of: the run that makes a version. None, stated as the reason to wait, where rows are needed and cannot be read.
    Rows that changed after the training are not needed: only `retrain: on-change` or a person takes them up, and a
    condition says so until then.
    """
    assert model.spec.fine_tune is not None
    uri, seen = model.spec.fine_tune.dataset.uri, draft.seen
    request = model.metadata.annotations.get(REFRESH_ANNOTATION, "")
    occasion = Occasion(None, request, Marks(refreshed=model.status.refreshed), seen.now)
    version = _find_version(model, base_digest, versions) if model.spec.retrain == "never" else None
    trained = version if version is not None and _is_trained(version, job_of(version), draft) else None
    if trained is None or (occasion.is_by_hand and uri in seen.digests):
        digest = draft.digest("Trained", uri)
        return digest, occasion.waiting() if digest is None else occasion.taken()
    _state_difference(model, trained, draft)
    return trained.spec.dataset_digest, occasion.waiting()


def _find_version(model: Model, base_digest: str, versions: Iterable[ModelVersion]) -> ModelVersion | None:
    """The version of this base and this fine-tuning that the model asked for last, else the newest.

    A person may have gone back to rows that were there before.
    """
    asked = (base_digest, model.spec.fine_tune)
    same = {version.metadata.name: version for version in versions if (version.spec.base_digest, version.spec.fine_tune) == asked}
    newest = max(same.values(), key=lambda version: version.spec.revision, default=None)
    return same.get(model.status.version, newest)


def _is_trained(version: ModelVersion, job: TrainJob | None, draft: Draft) -> bool:
    """Whether a version has its weights; one that is being scored has not recorded them yet."""
    seen = draft.seen.jobs.get(job_name(job)) if job else None
    made = version.status.adapter_digest or version.status.weights_digest
    return bool(made) or (seen is not None and seen.phase == "succeeded")


def _state_difference(model: Model, trained: ModelVersion, draft: Draft) -> None:
    name, uri = model.metadata.name, model.spec.fine_tune.dataset.uri if model.spec.fine_tune else ""
    if uri in draft.seen.problems:
        message = f"{draft.seen.problems[uri]}; {trained.metadata.name} goes on without it"
        draft.state("DatasetCurrent", "Unknown", "InputNotFound", message)
        return
    now, then = draft.seen.digests[uri][:SHORT], trained.spec.dataset_digest[:SHORT]
    if draft.seen.digests[uri] != trained.spec.dataset_digest:
        draft.state(
            "DatasetCurrent",
            "False",
            "DatasetChanged",
            f"the rows are {now} now, and {trained.metadata.name} was trained on {then}; to train on them, run `modelyard refresh "
            f"model {name}` or set the annotation {REFRESH_ANNOTATION} to a new text; spec.retrain: on-change does it by itself",
        )
