import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from modelyard.datasets.rows import Rows
from modelyard.domain.dataset_statistics import DatasetStatistics, Lengths
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Dataset
from modelyard.training.corpus import read_corpus
from modelyard.training.examples import Examples, make_examples, prepare, split


def test_rows_are_split_and_counted(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    job = yard.job()
    examples = make_examples(job, read_corpus(job), tokenizer)
    assert examples.counts() == {"train": 54, "validation": 6, "truncated": 0, "dropped": 0, "duplicates": 0, "contaminated": 0}


def test_rows_without_an_answer_after_the_cut_are_left_out_and_counted(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    # The questions that name a number below 10 are a token shorter, and just fit.
    job = yard.job({"dataset": {"uri": str(yard.dataset), "validation_split": 0}}, max_length=45)
    examples = make_examples(job, read_corpus(job), tokenizer)
    counts = examples.counts()
    assert counts["truncated"] == 60
    assert counts["train"] + counts["dropped"] == 60


def test_a_dataset_that_is_all_question_is_refused(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    job = yard.job(max_length=16)
    with pytest.raises(
        InvalidInputError,
        match=r"no row of dataset .*rows.jsonl has a token of its answer within maxLength 16: all 60 would be masked; raise",
    ):
        make_examples(job, read_corpus(job), tokenizer)


def test_too_few_rows_after_the_split_are_refused(yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    job = yard.job({"dataset": {"uri": str(yard.dataset), "validation_split": 0.5}}, batch_size=32)
    with pytest.raises(InvalidInputError, match="has 30 rows to learn from"):
        make_examples(job, read_corpus(job), tokenizer)


def test_a_dataset_that_changes_while_it_is_read_is_refused(yard: Any, tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    changing = replace(yard, dataset=tmp_path / "rows.jsonl")
    changing.dataset.write_bytes(yard.dataset.read_bytes())
    job = changing.job()
    rows = read_corpus(job)
    with changing.dataset.open("a") as file:
        file.write(json.dumps(pair("One more?")) + "\n")
    with pytest.raises(InvalidInputError, match="rows.jsonl has changed: its digest is"):
        make_examples(job, rows, tokenizer)


def digests(letters: str) -> list[bytes]:
    return [letter.encode() for letter in letters]


def test_the_split_does_not_depend_on_the_order_of_rows() -> None:
    examples = digests("abcdefghij")
    shuffled = random.Random(0).sample(examples, len(examples))
    held_out = [{rows[place] for place in split(rows, 0.3)[1]} for rows in (examples, shuffled)]
    assert held_out[0] == held_out[1]
    assert len(held_out[0]) == 3


def test_equal_rows_stay_on_one_side() -> None:
    assert split(digests("abab"), 0.5) == ([1, 3], [0, 2])


def test_nothing_is_held_out_where_nothing_is_asked() -> None:
    assert split(digests("ab"), 0.0) == ([0, 1], [])


def write(folder: Path, rows: Sequence[Any]) -> Rows:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Rows(str(path))


def pair(question: str, answer: str = "An answer.") -> dict[str, str]:
    return {"prompt": question, "completion": answer}


def prepared(folder: Path, rows: Sequence[Any], tokenizer: PreTrainedTokenizerFast, max_length: int = 1000, **asked: Any) -> Examples:
    """asked: fields of the dataset; `suite`: rows that are asked."""
    suite = folder / "suite.jsonl"
    suite.write_text("".join(json.dumps(row) + "\n" for row in asked.pop("suite", [])))
    suites = {"exam": str(suite)} if suite.stat().st_size else {}
    dataset = Dataset(uri="rows.jsonl", validation_split=0, **asked)
    return prepare(dataset, max_length, write(folder, rows), tokenizer, suites)


def test_statistics_say_what_was_found(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [pair("a" * length) for length in (10, 20, 30, 40)]
    examples = prepared(tmp_path, [*rows, rows[0], pair("What is asked?")], tokenizer, 60, suite=[pair("what is ASKED")])
    # <|start|>user\n…<|end|>\n<|start|>assistant\nAn answer.<|end|> is 30 tokens beside the question.
    assert examples.statistics == DatasetStatistics(
        format="prompt-completion",
        files=1,
        rows=6,
        duplicates=1,
        contaminated={"exam": 1},
        overlong=1,
        truncated=1,
        train=4,
        tokens=40 + 50 + 60 + 60,
        learned_tokens=11 * 3 + 1,
        lengths=Lengths(p50=50, p95=70, max=70),
    )
    assert examples.statistics.masked_share == pytest.approx(1 - 34 / 210)


def test_equal_rows_are_learned_once_unless_they_are_to_weigh_more(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = [pair("a"), pair("b"), pair("a")]
    assert prepared(tmp_path, rows, tokenizer).counts()["train"] == 2
    kept = prepared(tmp_path, rows, tokenizer, deduplicate=False).counts()
    assert (kept["train"], kept["duplicates"]) == (3, 1)


@pytest.mark.parametrize(
    ("overlong", "rows", "train", "truncated"),
    [
        pytest.param("cut", [{"text": "a" * 25}, {"text": "b"}], [10, 2], 1, id="a text is cut"),
        pytest.param("drop", [{"text": "a" * 25}, {"text": "b"}], [2], 0, id="a text is left out"),
        pytest.param("split", [{"text": "a" * 25}, {"text": "b"}], [10, 10, 6, 2], 0, id="a text goes on"),
        pytest.param("split", [pair("a", "b" * 99)], [60], 1, id="a conversation does not go on"),
    ],
)
def test_rows_that_are_too_long(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, overlong: str, rows: list[Any], train: list[int], truncated: int
) -> None:
    examples = prepared(tmp_path, rows, tokenizer, 10 if "text" in rows[0] else 60, overlong=overlong)
    assert [len(row.ids) for row in examples.train] == train
    assert (examples.statistics.truncated, examples.statistics.overlong) == (truncated, 1)


def test_the_parts_of_a_text_stay_on_one_side(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = write(tmp_path, [{"text": letter * 25} for letter in "abcd"])
    examples = prepare(Dataset(uri="rows.jsonl", overlong="split", validation_split=0.5), 10, rows, tokenizer, {})
    assert {row.digest for row in examples.train}.isdisjoint(row.digest for row in examples.validation)
    assert (len(examples.train), len(examples.validation)) == (6, 6)


@pytest.mark.parametrize(
    ("rows", "asked", "message"),
    [
        pytest.param(
            [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]}],
            {},
            "within maxLength 1000: all 1 would be masked; raise hyperparameters.maxLength, shorten the questions, or give",
            id="no answer with a weight",
        ),
        pytest.param([pair("a")], {"suite": [pair("a")]}, "of 1, 0 are duplicates, suites ask 1, and the others", id="all are asked"),
    ],
)
def test_a_dataset_of_which_nothing_is_left_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, rows: list[Any], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        prepared(tmp_path, rows, tokenizer, **asked)
