from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.training.corpus import check_corpus, read_corpus


def test_the_rows_of_a_run_are_read(yard: Any) -> None:
    assert len(list(read_corpus(yard.job()))) == 60
    check_corpus(yard.job())


def test_other_bytes_than_recorded_are_refused(yard: Any) -> None:
    job = yard.job().model_copy(update={"dataset_digest": "0" * 64})
    with pytest.raises(
        InvalidInputError, match=r"rows.jsonl has changed: its digest is \w{12}, not 000000000000; apply the resource again"
    ):
        read_corpus(job)


def test_fewer_rows_than_a_step_takes_are_refused(yard: Any) -> None:
    job = yard.job({"workers": {"count": 2}}, batch_size=64)
    with pytest.raises(InvalidInputError, match="has 60 rows to learn from, and a step of 2 workers takes batchSize 64; add rows"):
        check_corpus(job)


def test_one_long_text_may_be_enough_where_it_goes_on(yard: Any, tmp_path: Path) -> None:
    copy = replace(yard, dataset=tmp_path / "rows.jsonl")
    copy.dataset.write_text('{"text": "Once upon a time."}')
    check_corpus(copy.job({"dataset": {"uri": str(copy.dataset), "overlong": "split"}}))
    with pytest.raises(InvalidInputError, match="has 1 rows to learn from"):
        check_corpus(copy.job({"dataset": {"uri": str(copy.dataset)}}))


def test_a_dataset_that_is_gone_is_named(yard: Any, tmp_path: Path) -> None:
    copy = replace(yard, dataset=tmp_path / "rows.jsonl")
    copy.dataset.write_bytes(yard.dataset.read_bytes())
    job = copy.job()
    copy.dataset.unlink()
    with pytest.raises(NotFoundError, match="rows.jsonl does not exist"):
        read_corpus(job)
