"""The rows that a run was asked to learn from, and no others. Light, so that the driver can refuse before workers start."""

from modelyard.artifacts.content import content_digest
from modelyard.datasets.rows import Rows
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import TrainJob


def check_corpus(spec: TrainJob) -> None:
    """Read the dataset of a run once, and keep nothing of it.

    Raises as `read_corpus` and its rows do, and InvalidInputError if there are fewer rows than one step takes.
    """
    rows = sum(1 for _ in read_corpus(spec))
    if spec.fine_tune.dataset.overlong != "split":  # else one long text may be enough
        require_rows(spec, rows)


def read_corpus(spec: TrainJob) -> Rows:
    """The dataset of a run, to be read row by row; each raises InvalidInputError where it is unfit.

    Raises InvalidInputError if the bytes are not those that were recorded, NotFoundError if the dataset is gone.
    """
    require_recorded(spec)
    return Rows(spec.fine_tune.dataset.uri, spec.fine_tune.dataset.format)


def require_recorded(spec: TrainJob) -> None:
    """Raise InvalidInputError if the bytes of the dataset are not those that were recorded, NotFoundError if it is gone."""
    dataset = spec.fine_tune.dataset
    digest = content_digest(dataset.uri)
    if digest != spec.dataset_digest:
        raise InvalidInputError(
            f"dataset {dataset.uri} has changed: its digest is {digest[:12]}, not {spec.dataset_digest[:12]}",
            "apply the resource again to train a version on the new rows",
        )


def require_rows(spec: TrainJob, rows: int) -> None:
    """Raise InvalidInputError if there are fewer rows to learn from than all workers take in one step."""
    batch_size = spec.fine_tune.hyperparameters.batch_size
    if rows < batch_size:
        raise InvalidInputError(
            f"dataset {spec.fine_tune.dataset.uri} has {rows} rows to learn from, and a step of {spec.fine_tune.workers.count}"
            f" workers takes batchSize {batch_size}",
            "add rows, or lower hyperparameters.batchSize or workers.count",
        )
