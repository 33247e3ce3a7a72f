"""The rows of one run: checked, tokenized and split. Raises before a worker is started; workers read it again."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from modelyard.artifacts.content import content_digest
from modelyard.datasets.rows import read_conversations
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import TrainJob
from modelyard.training.tokens import Example, encode


@dataclass(frozen=True)
class Corpus:
    """What a run learns from and is measured on."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    truncated: int
    """Rows that were cut to `maxLength`."""
    dropped: int
    """Rows of which nothing was left to learn after the cut."""

    def counts(self) -> dict[str, int]:
        """Numbers of rows, for the lineage and for people."""
        return {"train": len(self.train), "validation": len(self.validation), "truncated": self.truncated, "dropped": self.dropped}


def load_corpus(spec: TrainJob, tokenizer: PreTrainedTokenizerBase) -> Corpus:
    """Read, check and split the dataset of a run.

    Raises InvalidInputError if the bytes are not those that were recorded, if nothing is left to learn,
    or if there are fewer rows than one step takes; NotFoundError if the dataset is gone.
    """
    dataset, knobs = spec.fine_tune.dataset, spec.fine_tune.hyperparameters
    digest = content_digest(dataset.uri)
    if digest != spec.dataset_digest:
        raise InvalidInputError(
            f"dataset {dataset.uri} has changed: its digest is {digest[:12]}, not {spec.dataset_digest[:12]}",
            "apply the resource again to train a version on the new rows",
        )
    conversations = read_conversations(dataset.uri, dataset.format)
    examples = [encode(tokenizer, conversation, knobs.max_length) for conversation in conversations]
    usable = [example for example in examples if example.learned]
    if not usable:
        raise InvalidInputError(
            f"no row of dataset {dataset.uri} has a token of its answer within maxLength {knobs.max_length}",
            "raise hyperparameters.maxLength or shorten the questions",
        )
    train, validation = split(usable, dataset.validation_split)
    if len(train) < knobs.batch_size:
        raise InvalidInputError(
            f"dataset {dataset.uri} has {len(train)} rows to learn from and a step of {spec.fine_tune.workers.count} workers"
            f" takes {knobs.batch_size}",
            "add rows, or lower hyperparameters.batchSize or workers.count",
        )
    return Corpus(tuple(train), tuple(validation), sum(example.truncated for example in examples), len(examples) - len(usable))


def split(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """(to learn from, to measure on), chosen by content: the order of rows does not matter, and equal rows stay together."""
    digests = sorted({example.digest for example in examples})
    held_out = set(digests[: round(len(digests) * share)])
    return (
        [example for example in examples if example.digest not in held_out],
        [example for example in examples if example.digest in held_out],
    )
