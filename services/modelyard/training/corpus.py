"""The rows that a run was asked to learn from, and no others. Light, so that the driver can refuse before workers start."""

from modelyard.artifacts.content import content_digest
from modelyard.datasets.rows import Conversation, read_conversations
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import TrainJob


def read_corpus(spec: TrainJob) -> list[Conversation]:
    """Read and check the dataset of a run.

    Raises InvalidInputError if the bytes are not those that were recorded, if a row is unfit or if there are
    fewer rows than one step takes; NotFoundError if the dataset is gone.
    """
    dataset = spec.fine_tune.dataset
    digest = content_digest(dataset.uri)
    if digest != spec.dataset_digest:
        raise InvalidInputError(
            f"dataset {dataset.uri} has changed: its digest is {digest[:12]}, not {spec.dataset_digest[:12]}",
            "apply the resource again to train a version on the new rows",
        )
    conversations = read_conversations(dataset.uri, dataset.format)
    require_rows(spec, len(conversations))
    return conversations


def require_rows(spec: TrainJob, rows: int) -> None:
    """Raise InvalidInputError if there are fewer rows to learn from than all workers take in one step."""
    batch_size = spec.fine_tune.hyperparameters.batch_size
    if rows < batch_size:
        raise InvalidInputError(
            f"dataset {spec.fine_tune.dataset.uri} has {rows} rows to learn from, and a step of {spec.fine_tune.workers.count}"
            f" workers takes batchSize {batch_size}",
            "add rows, or lower hyperparameters.batchSize or workers.count",
        )
