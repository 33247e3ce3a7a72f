import json
from typing import Any

import pytest

from modelyard.evaluation.metrics import find_record, name_field_metrics, parse_record, same_json, score_record, score_text

GOLD: dict[str, Any] = {"name": "dedent", "parameters": ["text"], "defaults": {}, "required": 1}
NAMES = name_field_metrics(list(GOLD))
PERFECT = json.dumps(GOLD)
ALL_RIGHT = {"field_score": 1.0, "exact_match": 1.0, "valid_json": 1.0}
NOTHING = {"field_score": 0.0, "exact_match": 0.0, "valid_json": 0.0}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(PERFECT, ALL_RIGHT, id="the record itself"),
        pytest.param(json.dumps(dict(reversed(GOLD.items())), indent=4), ALL_RIGHT, id="other order and white space are the same record"),
        pytest.param(f"```json\n{PERFECT}\n```", ALL_RIGHT, id="a fence costs nothing"),
        pytest.param(f'Sure, the "answer" is:\n\n{PERFECT}\n\nHope that helps!', ALL_RIGHT, id="prose around it costs nothing"),
        pytest.param(f'it"s {PERFECT}', ALL_RIGHT, id="a single quotation mark in the prose opens no string"),
        pytest.param(f"As in {{this}}: {PERFECT}", ALL_RIGHT, id="braces in the prose are no record and are passed over"),
        pytest.param(f"{PERFECT} {PERFECT.replace('dedent', 'indent')}", ALL_RIGHT, id="of two records the first counts"),
        pytest.param(
            f"{PERFECT.replace('dedent', 'indent')} or rather {PERFECT}",
            {"field_score": 0.75, "exact_match": 0.0, "valid_json": 1.0},
            id="a second thought does not count",
        ),
        pytest.param(PERFECT[:-1], NOTHING, id="a cut-off record is none"),
        pytest.param(
            json.dumps({"a": GOLD})[:-1],
            NOTHING,
            id="what is nested in a cut-off record is not looked at",
        ),
        pytest.param(f"{{record: {PERFECT}}}", NOTHING, id="nor what is nested in a broken one"),
        pytest.param(json.dumps({"record": GOLD}), NOTHING, id="fields one level too deep are not the fields asked for"),
        pytest.param(json.dumps([GOLD]), ALL_RIGHT, id="in a list, the first object counts"),
        pytest.param(str(GOLD), NOTHING, id="a Python dictionary is not JSON"),
        pytest.param(
            json.dumps(GOLD | {"comment": "none"}),
            {"field_score": 1.0, "exact_match": 0.0, "valid_json": 0.0},
            id="a field too many is not the record, but the fields are right",
        ),
        pytest.param(
            '{"name": "dedent", "parameters": ["text"]}',
            {"field_score": 0.5, "exact_match": 0.0, "valid_json": 0.0},
            id="fields that are missing are wrong",
        ),
        pytest.param(
            '{"name": "indent", ' + PERFECT[1:],
            {"field_score": 1.0, "exact_match": 0.0, "valid_json": 0.0},
            id="a key given twice is not valid; the last value counts, as in every common parser",
        ),
        pytest.param(
            PERFECT.replace("[", '[{"x": 1, "x": 1}, '),
            {"field_score": 0.75, "exact_match": 0.0, "valid_json": 0.0},
            id="a key given twice further in is not valid either",
        ),
        pytest.param(
            PERFECT.replace('"required": 1', '"required": true'),
            {"field_score": 0.75, "exact_match": 0.0, "valid_json": 1.0},
            id="true is not 1",
        ),
        pytest.param(PERFECT.replace('"required": 1', '"required": 1.0'), ALL_RIGHT, id="1.0 is 1"),
        pytest.param(PERFECT.replace('"required": 1', '"required": NaN'), NOTHING, id="NaN is not JSON"),
        pytest.param(PERFECT.replace("dedent", "}{"), {**ALL_RIGHT, "field_score": 0.75, "exact_match": 0.0}, id="braces in a string"),
        pytest.param(PERFECT.replace("dedent", '\\"}'), {**ALL_RIGHT, "field_score": 0.75, "exact_match": 0.0}, id="an escaped quote"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, NOTHING, id="a tower of braces does not break the parser"),
        pytest.param("", NOTHING, id="silence"),
        pytest.param("null", NOTHING, id="JSON that is no object"),
    ],
)
def test_records(answer: str, expected: dict[str, float]) -> None:
    scores = score_record(answer, GOLD, NAMES)
    assert {name: scores[name] for name in expected} == expected


def test_every_field_has_a_metric_of_its_own() -> None:
    scores = score_record(PERFECT.replace("dedent", "indent"), GOLD, NAMES)
    assert scores["field_name"] == 0.0
    assert scores["field_parameters"] == scores["field_defaults"] == scores["field_required"] == 1.0


@pytest.mark.parametrize(
    ("names", "metrics"),
    [
        pytest.param(["name"], ["field_name"], id="a plain name"),
        pytest.param(["a.b"], ["field_a_b"], id="a dot would part suite from metric"),
        pytest.param(["a.b", "a_b", "a b"], ["field_a_b", "field_a_b_2", "field_a_b_3"], id="names that would be the same are counted"),
        pytest.param(["score"], ["field_score_2"], id="field_score is taken"),
    ],
)
def test_names_of_field_metrics(names: list[str], metrics: list[str]) -> None:
    assert list(name_field_metrics(names).values()) == metrics


@pytest.mark.parametrize(
    ("answer", "gold", "f1", "exact", "contains"),
    [
        pytest.param("Paris", "Paris", 1.0, 1.0, 1.0, id="the answer itself"),
        pytest.param("  Paris\n", "Paris", 1.0, 1.0, 1.0, id="white space around it"),
        pytest.param("The Paris!", "paris", 1.0, 0.0, 0.0, id="f1 knows no case, punctuation or article; the others do"),
        pytest.param("The capital is Paris.", "Paris", 0.5, 0.0, 1.0, id="a sentence around it: 1 word of 3 and 1 of 1"),
        pytest.param("Lyon", "Paris", 0.0, 0.0, 0.0, id="another answer"),
        pytest.param("red red blue", "red blue blue", 2 / 3, 0.0, 0.0, id="repeated words count as often as both have them"),
        pytest.param("", "Paris", 0.0, 0.0, 0.0, id="silence"),
        pytest.param("the", "a", 1.0, 0.0, 0.0, id="nothing but articles on both sides agrees, as in SQuAD 2.0"),
    ],
)
def test_texts(answer: str, gold: str, f1: float, exact: float, contains: float) -> None:
    assert score_text(answer, gold) == {"f1": pytest.approx(f1), "exact_match": exact, "contains": contains}


@pytest.mark.parametrize(
    ("text", "is_record"),
    [
        pytest.param('{"a": 1}', True, id="an object"),
        pytest.param(' {"a": 1}\n', True, id="white space around it"),
        pytest.param('{"a": 1} yes', False, id="something after it"),
        pytest.param("[1]", False, id="a list"),
        pytest.param("1", False, id="a number"),
        pytest.param("Paris", False, id="a word"),
    ],
)
def test_a_known_answer_is_a_record_only_as_a_whole(text: str, is_record: bool) -> None:
    assert (parse_record(text) is not None) is is_record


def test_an_answer_is_complete_with_its_first_record_and_not_before() -> None:
    text = f"Here: {PERFECT} and more"
    ends = [end for end in range(len(text) + 1) if find_record(text[:end]) is not None]
    assert ends[0] == text.index(PERFECT) + len(PERFECT)
    assert find_record(text) == find_record(text[: ends[0]])


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        pytest.param({"a": [1, {"b": 2.0}]}, {"a": [1.0, {"b": 2}]}, True, id="nested numbers"),
        pytest.param([1, 2], [2, 1], False, id="the order of a list matters"),
        pytest.param([True], [1], False, id="nested true is not 1"),
        pytest.param(None, False, False, id="null is not false"),
        pytest.param([1], [1, 1], False, id="a longer list"),
    ],
)
def test_equal_json(left: Any, right: Any, same: bool) -> None:
    assert same_json(left, right) is same
