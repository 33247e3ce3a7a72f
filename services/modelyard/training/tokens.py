"""Turn rows into token ids, and mark the ones that are learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from modelyard.datasets.conversation import Row, Text
from modelyard.training.spans import mark_answers

Overlong = Literal["cut", "drop", "split"]


@dataclass(frozen=True)
class Example:
    """One row as tokens."""

    ids: tuple[int, ...]
    mask: tuple[bool, ...]
    """As many as `ids`: whether that token is learned. The first cannot be: nothing comes before it."""
    digest: str
    """sha256 of the row, the same wherever it stands in a dataset."""
    truncated: bool = False

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return sum(self.mask[1:])


def load_tokenizer(base: Path, gguf_file: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of base weights, with a padding token.

    gguf_file: the file in that folder which holds the tokenizer, where it is not in files of its own.
    """
    named = {"gguf_file": gguf_file} if gguf_file else {}
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base, **named)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id or 0
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, row: Row) -> Example:
    """One row, whole: a conversation in the words of the tokenizer's chat template, or a text with the token that ends it.

    Learned is every turn of the assistant whose weight is not 0 (`mark_answers` tells from where to where), and all of a text.
    Raises InvalidInputError where the template refuses the row or cannot show what is in it.
    """
    ids, mask = _encode_text(tokenizer, row) if isinstance(row, Text) else mark_answers(tokenizer, row)
    return Example(tuple(ids), (False, *mask[1:]) if mask else (), row.digest)


def fit(example: Example, max_length: int, overlong: Overlong) -> list[Example]:
    """What is left of an example of more than `max_length` tokens; others stay as they are.

    overlong: `cut` it at its end, `drop` it, or `split` it into rows that go on one after the other.
    """
    if len(example.ids) <= max_length:
        return [example]
    if overlong == "drop":
        return []
    if overlong == "cut":
        return [Example(example.ids[:max_length], example.mask[:max_length], example.digest, truncated=True)]
    return [
        Example(example.ids[start : start + max_length], (False, *example.mask[start + 1 : start + max_length]), example.digest)
        for start in range(0, len(example.ids), max_length)
    ]


def _encode_text(tokenizer: PreTrainedTokenizerBase, row: Text) -> tuple[list[int], list[bool]]:
    """With what the tokenizer puts around a text, and the end of text, or the model would never learn to stop."""
    ids = list(tokenizer(row.text)["input_ids"])
    end = tokenizer.eos_token_id
    if end is not None and ids[-1:] != [end]:
        ids.append(end)
    return ids, [True] * len(ids)
