"""The rows of a run as tokens, split into those that are learned from and those that are measured on. Deterministic."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from modelyard.datasets.rows import Conversation
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import TrainJob
from modelyard.training.corpus import require_rows
from modelyard.training.tokens import Example, encode, fit


@dataclass(frozen=True)
class Examples:
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


def make_examples(spec: TrainJob, conversations: Sequence[Conversation], tokenizer: PreTrainedTokenizerBase) -> Examples:
    """Tokenize and split. Raises InvalidInputError if nothing is left to learn, or less than one step takes."""
    dataset, max_length = spec.fine_tune.dataset, spec.fine_tune.hyperparameters.max_length
    examples = [example for row in conversations for example in fit(encode(tokenizer, row), max_length, "cut")]
    usable = [example for example in examples if example.learned]
    if not usable:
        raise InvalidInputError(
            f"no row of dataset {dataset.uri} has a token of its answer within maxLength {max_length}",
            "raise hyperparameters.maxLength or shorten the questions",
        )
    train, validation = split(usable, dataset.validation_split)
    require_rows(spec, len(train))
    truncated = sum(example.truncated for example in examples)
    return Examples(tuple(train), tuple(validation), truncated, dropped=len(examples) - len(usable))


def split(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """(to learn from, to measure on), chosen by content: the order of rows does not matter, and equal rows stay together."""
    digests = sorted({example.digest for example in examples})
    held_out = set(digests[: round(len(digests) * share)])
    return (
        [example for example in examples if example.digest not in held_out],
        [example for example in examples if example.digest in held_out],
    )
