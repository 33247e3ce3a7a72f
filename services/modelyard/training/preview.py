"""Rows as the loss sees them, for people: the same ids and the same targets, with their text. Decides nothing itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from transformers import PreTrainedTokenizerBase

from modelyard.datasets.rows import Rows
from modelyard.domain.fine_tune import Dataset
from modelyard.training.batches import IGNORED, targets_of
from modelyard.training.examples import fit_row
from modelyard.training.tokens import Example, encode


@dataclass(frozen=True)
class Preview:
    """One example."""

    source: str
    """The URI of its file."""
    line: int
    ids: tuple[int, ...]
    learned: tuple[bool, ...]
    """As many as `ids`."""
    runs: tuple[tuple[str, bool], ...]
    """(text, whether it is learned), one behind the other."""
    truncated: bool


def preview(rows: Rows, dataset: Dataset, max_length: int, tokenizer: PreTrainedTokenizerBase, count: int) -> Iterator[Preview]:
    """The examples of the first rows. Raises InvalidInputError as the training does."""
    for row in islice(rows, count):
        for example in fit_row(row, encode(tokenizer, row), dataset, max_length):
            learned = tuple(target != IGNORED for target in targets_of(example))
            yield Preview(row.source, row.line, example.ids, learned, _runs(tokenizer, example, learned), example.truncated)


def _runs(tokenizer: PreTrainedTokenizerBase, example: Example, learned: tuple[bool, ...]) -> tuple[tuple[str, bool], ...]:
    grouped = groupby(zip(example.ids, learned, strict=True), key=lambda pair: pair[1])
    return tuple((str(tokenizer.decode([token for token, _ in pairs])), chosen) for chosen, pairs in grouped)
