import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts.content import content_digest
from modelyard.domain.errors import IntegrityError, InvalidInputError, NotFoundError
from modelyard.domain.evaluation import FewShot, Suite
from modelyard.evaluation.suites import LoadedSuite, load_suites

WriteRows = Callable[[str, Sequence[tuple[str, str]]], str]
RECORDS = [("one?", '{"n": 1}'), ("two?", '{"n": 2}'), ("three?", '{"n": 3}')]


def load(uri: str, *, with_examples: bool = True, **settings: Any) -> LoadedSuite:
    suite = Suite(name="records", uri=uri, **settings)
    return load_suites([suite], {"records": content_digest(uri)}, with_examples=with_examples)[0]


@pytest.mark.parametrize(
    ("pairs", "scorer", "expected"),
    [
        pytest.param(RECORDS, "auto", "json-record", id="every answer is a record"),
        pytest.param([*RECORDS, ("four?", "4")], "auto", "text", id="one answer is not"),
        pytest.param([*RECORDS, ("none?", "{}")], "auto", "text", id="a record without fields cannot be scored by field"),
        pytest.param(RECORDS, "text", "text", id="records scored as text because it is asked for"),
    ],
)
def test_scorer(write_rows: WriteRows, pairs: list[tuple[str, str]], scorer: str, expected: str) -> None:
    assert load(write_rows("suite.jsonl", pairs), scorer=scorer).scorer == expected


def test_a_known_answer_that_is_no_record_is_named_with_its_line(write_rows: WriteRows) -> None:
    uri = write_rows("suite.jsonl", [*RECORDS, ("four?", '{"n": 4')])
    with pytest.raises(InvalidInputError, match=r"suite 'records': .*suite\.jsonl line 4: the expected answer is not a JSON object"):
        load(uri, scorer="json-record")


def test_the_limit_takes_the_first_rows(write_rows: WriteRows) -> None:
    suite = load(write_rows("suite.jsonl", RECORDS), limit=2)
    assert [(row.line, row.gold) for row in suite.rows] == [(1, '{"n": 1}'), (2, '{"n": 2}')]


def test_examples_are_earlier_turns(write_rows: WriteRows) -> None:
    few_shot = FewShot(uri=write_rows("train.jsonl", [("a?", '{"n": 0}'), ("b?", '{"n": 9}')]), counts=[0, 2])
    suite = load(write_rows("suite.jsonl", RECORDS), few_shot=few_shot)
    assert suite.shots == (0, 2)
    assert [(m.role, m.content) for m in suite.ask(suite.rows[0], 2)] == [
        ("user", "a?"),
        ("assistant", '{"n": 0}'),
        ("user", "b?"),
        ("assistant", '{"n": 9}'),
        ("user", "one?"),
    ]
    assert [m.content for m in suite.ask(suite.rows[0], 0)] == ["one?"]


def test_the_system_message_stays_first_and_examples_bring_none(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    turns = [("system", "Be brief."), ("user", "one?"), ("assistant", "1")]
    path.write_text(json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}))
    other = tmp_path / "train.jsonl"
    other.write_text(path.read_text().replace("one?", "two?").replace('"1"', '"2"'))
    suite = load(path.as_uri(), few_shot=FewShot(uri=other.as_uri(), counts=[1]))
    assert [m.content for m in suite.ask(suite.rows[0], 1)] == ["Be brief.", "two?", "2", "one?"]


def test_a_row_that_is_asked_is_never_shown_with_its_answer(write_rows: WriteRows) -> None:
    uri = write_rows("suite.jsonl", RECORDS)
    few_shot = FewShot(uri=write_rows("train.jsonl", [RECORDS[0], ("b?", '{"n": 9}')]), counts=[1])
    assert [example.question[0].content for example in load(uri, few_shot=few_shot).examples] == ["b?"]


def test_too_few_examples_are_told(write_rows: WriteRows) -> None:
    few_shot = FewShot(uri=write_rows("train.jsonl", [RECORDS[0], ("b?", '{"n": 9}')]), counts=[0, 3])
    uri = write_rows("suite.jsonl", RECORDS)
    with pytest.raises(InvalidInputError, match=r"fewShot\.counts has 3, and .*train\.jsonl has 1 rows"):
        load(uri, few_shot=few_shot)


def test_a_tuned_version_is_shown_no_examples_and_their_file_is_not_read(write_rows: WriteRows) -> None:
    suite = load(write_rows("suite.jsonl", RECORDS), few_shot=FewShot(uri="file:///nowhere.jsonl"), with_examples=False)
    assert suite.shots == (0,)
    assert suite.examples == ()


def test_fields_that_few_answers_have_get_no_metric_of_their_own(write_rows: WriteRows) -> None:
    pairs = [("a?", '{"n": 1, "odd": 1}'), *RECORDS]
    assert load(write_rows("suite.jsonl", pairs)).field_metrics == {"n": "field_n"}


def test_changed_rows_are_refused(write_rows: WriteRows) -> None:
    uri = write_rows("suite.jsonl", RECORDS)
    with pytest.raises(IntegrityError, match=r"suite 'records': .*suite\.jsonl has changed since the run was asked for"):
        load_suites([Suite(name="records", uri=uri)], {"records": "0" * 64}, with_examples=True)


def test_a_missing_suite_is_named() -> None:
    with pytest.raises(NotFoundError, match="suite 'records': .*/nowhere.jsonl"):
        load_suites([Suite(name="records", uri="file:///nowhere.jsonl")], {"records": "0" * 64}, with_examples=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "empty", id="no rows"),
        pytest.param('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "compl\n', "line 2", id="a broken line"),
    ],
)
def test_bad_rows_are_told_with_the_suite(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=f"suite 'records': .*{message}"):
        load(path.as_uri())


def test_two_suites_of_one_name_are_refused(write_rows: WriteRows) -> None:
    suite = Suite(name="records", uri=write_rows("suite.jsonl", RECORDS))
    with pytest.raises(InvalidInputError, match="'records' is the name of more than one suite"):
        load_suites([suite, suite], {}, with_examples=True)


def test_a_number_of_examples_is_not_negative() -> None:
    with pytest.raises(ValueError, match=r"greater than or equal to 0"):
        FewShot(uri="file:///train.jsonl", counts=[0, -1])
