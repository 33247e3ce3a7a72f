from typing import Any

import pytest

from modelyard.domain.evaluation import Gate, Score
from modelyard.domain.gate import judge


def score(value: float, metric: str = "extraction.field_score") -> Score:
    return Score(metric=metric, value=value, low=value - 0.1, high=value + 0.1, rows=40)


def gate(metric: str = "extraction.field_score", **bar: Any) -> Gate:
    return Gate(metric=metric, **bar)


@pytest.mark.parametrize(
    ("bar", "value", "base", "active", "passed", "reason"),
    [
        pytest.param(
            {"at_least": 0.8},
            0.61,
            None,
            None,
            False,
            "extraction.field_score 0.61 (0.51 to 0.71) misses at least 0.8",
            id="below the least figure",
        ),
        pytest.param(
            {"at_least": 0.8},
            0.8,
            None,
            None,
            True,
            "extraction.field_score 0.8 (0.7 to 0.9) is at least 0.8",
            id="exactly the least figure is enough",
        ),
        pytest.param(
            {"at_most": 0.2},
            0.3,
            None,
            None,
            False,
            "extraction.field_score 0.3 (0.2 to 0.4) misses at most 0.2",
            id="above the highest figure",
        ),
        pytest.param(
            {"at_most": 0.3},
            0.3,
            None,
            None,
            True,
            "extraction.field_score 0.3 (0.2 to 0.4) is at most 0.3",
            id="exactly the highest figure is fine",
        ),
        pytest.param(
            {"better_than": "base", "margin": 0.25},
            0.7,
            0.66,
            None,
            False,
            "extraction.field_score 0.7 (0.6 to 0.8) is not better than the base's 0.66 (0.56 to 0.76) by 0.25",
            id="better than the base, but not by the margin",
        ),
        pytest.param(
            {"better_than": "base", "margin": 0.05},
            0.7,
            0.65,
            None,
            True,
            "extraction.field_score 0.7 (0.6 to 0.8) is better than the base's 0.65 (0.55 to 0.75) by 0.05",
            id="better by exactly the margin, which binary arithmetic puts just below it",
        ),
        pytest.param(
            {"better_than": "base"},
            0.5,
            0.5,
            None,
            False,
            "extraction.field_score 0.5 (0.4 to 0.6) is not better than the base's 0.5 (0.4 to 0.6)",
            id="equal is not better",
        ),
        pytest.param(
            {"better_than": "base"},
            0.5,
            None,
            0.1,
            False,
            "extraction.field_score 0.5 (0.4 to 0.6) cannot be compared: the base was not scored",
            id="a base that was not scored fails the bar, whatever the active version has",
        ),
        pytest.param(
            {"not_worse_than": "active", "margin": 0.01},
            0.8,
            None,
            0.9,
            False,
            "extraction.field_score 0.8 (0.7 to 0.9) is worse than the active version's 0.9 (0.8 to 1) by more than 0.01",
            id="worse than the active version",
        ),
        pytest.param(
            {"not_worse_than": "active", "margin": 0.1},
            0.8,
            None,
            0.9,
            True,
            "extraction.field_score 0.8 (0.7 to 0.9) is not worse than the active version's 0.9 (0.8 to 1) by more than 0.1",
            id="worse than the active version, within the margin",
        ),
        pytest.param(
            {"not_worse_than": "active"},
            0.9,
            None,
            0.9,
            True,
            "extraction.field_score 0.9 (0.8 to 1) is not worse than the active version's 0.9 (0.8 to 1)",
            id="as good as the active version",
        ),
        pytest.param(
            {"not_worse_than": "active"},
            0.1,
            0.9,
            None,
            True,
            "extraction.field_score 0.1 (0 to 0.2) has nothing to be compared with: there is no active version",
            id="the first version is not held up by a version that is not there",
        ),
        pytest.param(
            {"better_than": "active"},
            0.1,
            0.9,
            None,
            True,
            "extraction.field_score 0.1 (0 to 0.2) has nothing to be compared with: there is no active version",
            id="nor by having to beat it",
        ),
    ],
)
def test_one_bar(bar: dict[str, Any], value: float, base: float | None, active: float | None, passed: bool, reason: str) -> None:
    verdict = judge(
        [gate(**bar)],
        [score(value)],
        base=None if base is None else [score(base)],
        active=None if active is None else [score(active)],
    )
    assert verdict.passed is passed
    assert [check.reason for check in verdict.checks] == [reason]
    assert verdict.checks[0].value == value


@pytest.mark.parametrize(
    ("bar", "text"),
    [
        pytest.param({"at_least": 0.8}, "at least 0.8", id="a least figure"),
        pytest.param({"at_most": 0.25}, "at most 0.25", id="a highest figure"),
        pytest.param({"not_worse_than": "active"}, "not worse than active", id="a version without margin"),
        pytest.param({"not_worse_than": "base", "margin": 0.01}, "not worse than base by more than 0.01", id="a base with margin"),
        pytest.param({"better_than": "base"}, "better than base", id="better at all"),
        pytest.param({"better_than": "active", "margin": 0.25}, "better than active by 0.25", id="better by a margin"),
    ],
)
def test_the_bar_in_words(bar: dict[str, Any], text: str) -> None:
    assert judge([gate(**bar)], [], base=None, active=None).checks[0].bar == text


def test_a_metric_that_is_not_there_fails_and_names_those_that_are() -> None:
    scores = [score(0.9, "extraction.exact_match"), score(0.9, "tickets.f1")]
    verdict = judge([gate(at_least=0.1)], scores, base=None, active=None)
    assert not verdict.passed
    assert verdict.reason == "there is no extraction.field_score; the metrics are extraction.exact_match, tickets.f1"
    assert verdict.checks[0].value is None


def test_a_version_without_any_score_fails_every_bar() -> None:
    verdict = judge([gate(at_least=0.1), gate(not_worse_than="active")], [], base=None, active=None)
    assert [check.passed for check in verdict.checks] == [False, False]
    assert "the metrics are none" in verdict.reason


def test_a_base_without_the_metric_fails_and_names_those_it_has() -> None:
    verdict = judge([gate(better_than="base")], [score(0.9)], base=[score(0.1, "extraction.f1")], active=None)
    assert not verdict.passed
    assert verdict.reason.endswith("the base has no extraction.field_score, its metrics are extraction.f1")


def test_a_new_suite_is_not_held_up_by_an_active_version_that_was_never_asked_it() -> None:
    verdict = judge([gate(not_worse_than="active")], [score(0.9)], base=None, active=[score(0.1, "older.f1")])
    assert verdict.passed
    assert verdict.reason.endswith("has nothing to be compared with: the active version has no extraction.field_score")


def test_every_missed_bar_is_named_and_only_those() -> None:
    gates = [gate(at_least=0.8), gate(at_least=0.1), gate(better_than="base", margin=0.25)]
    verdict = judge(gates, [score(0.7)], base=[score(0.66)], active=None)
    assert [check.passed for check in verdict.checks] == [False, True, False]
    assert "misses at least 0.8" in verdict.reason
    assert "by 0.25" in verdict.reason
    assert "at least 0.1" not in verdict.reason


def test_no_bars_pass() -> None:
    verdict = judge([], [score(0.0)], base=None, active=None)
    assert verdict.passed
    assert verdict.reason == "no gate"
