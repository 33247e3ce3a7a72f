import random
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from modelyard.domain.errors import InvalidInputError
from modelyard.training.corpus import read_corpus
from modelyard.training.examples import make_examples, split
from modelyard.training.tokens import Example


def test_rows_are_split_and_counted(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    job = yard.job()
    examples = make_examples(job, read_corpus(job), tokenizer)
    assert examples.counts() == {"train": 54, "validation": 6, "truncated": 0, "dropped": 0}


def test_rows_without_an_answer_after_the_cut_are_left_out_and_counted(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    # The questions that name a number below 10 are a token shorter, and just fit.
    job = yard.job({"dataset": {"uri": str(yard.dataset), "validation_split": 0}}, max_length=45)
    examples = make_examples(job, read_corpus(job), tokenizer)
    counts = examples.counts()
    assert counts["truncated"] == 60
    assert counts["train"] + counts["dropped"] == 60


def test_a_dataset_that_is_all_question_is_refused(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    job = yard.job(max_length=16)
    with pytest.raises(InvalidInputError, match=r"no row of dataset .*rows.jsonl has a token of its answer within maxLength 16; raise"):
        make_examples(job, read_corpus(job), tokenizer)


def test_too_few_rows_after_the_split_are_refused(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    job = yard.job({"dataset": {"uri": str(yard.dataset), "validation_split": 0.5}}, batch_size=32)
    with pytest.raises(InvalidInputError, match="has 30 rows to learn from"):
        make_examples(job, read_corpus(job), tokenizer)


def rows(*digests: str) -> list[Example]:
    return [Example((1, 2), (False, True), digest) for digest in digests]


def test_the_split_does_not_depend_on_the_order_of_rows() -> None:
    examples = rows(*"abcdefghij")
    shuffled = random.Random(0).sample(examples, len(examples))
    assert set(split(examples, 0.3)[1]) == set(split(shuffled, 0.3)[1])
    assert len(split(examples, 0.3)[1]) == 3


def test_equal_rows_stay_on_one_side() -> None:
    train, validation = split(rows("a", "b", "a", "b"), 0.5)
    assert [{row.digest for row in side} for side in (train, validation)] == [{"b"}, {"a"}]


def test_nothing_is_held_out_where_nothing_is_asked() -> None:
    assert split(rows("a", "b"), 0.0) == (rows("a", "b"), [])
