from typing import Any

import pytest
from pydantic import ValidationError

from modelyard.domain.evaluation import Check, EvaluationSpec, Gate, Suite, Verdict, suite_inputs


@pytest.mark.parametrize(
    ("comparisons", "given"),
    [
        pytest.param({}, "no comparison", id="none"),
        pytest.param({"atLeast": 0.5, "atMost": 0.9}, "atLeast, atMost", id="two bars"),
        pytest.param({"atLeast": 0.0, "betterThan": "base"}, "atLeast, betterThan", id="a bar of nought counts"),
        pytest.param({"notWorseThan": "active", "betterThan": "base"}, "notWorseThan, betterThan", id="two references"),
    ],
)
def test_a_gate_has_exactly_one_comparison(comparisons: dict[str, Any], given: str) -> None:
    with pytest.raises(
        ValidationError, match=f"gate on 't.score' has {given}; give exactly one of atLeast, atMost, notWorseThan, betterThan"
    ):
        Gate.model_validate({"metric": "t.score", **comparisons})


@pytest.mark.parametrize(
    "comparison", [{"atLeast": 0.0}, {"atMost": 1.0}, {"notWorseThan": "active", "margin": 0.01}, {"betterThan": "base", "margin": 0.2}]
)
def test_each_comparison_stands_alone(comparison: dict[str, Any]) -> None:
    assert Gate.model_validate({"metric": "t.score", **comparison}).wire().items() >= comparison.items()


@pytest.mark.parametrize("metric", ["score", "t.", ".score", "t.a.b"])
def test_a_metric_is_suite_and_name(metric: str) -> None:
    with pytest.raises(ValidationError, match="metric"):
        Gate(metric=metric, at_least=0.5)


def test_a_margin_is_not_negative() -> None:
    with pytest.raises(ValidationError, match="margin"):
        Gate(metric="t.score", better_than="base", margin=-0.1)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "My Suite"}, id="a name that cannot be a metric's"),
        pytest.param({"limit": 0}, id="no row"),
        pytest.param({"maxTokens": 0}, id="no answer"),
        pytest.param({"scorer": "bleu"}, id="a scorer that there is not"),
        pytest.param({"fewShot": {"uri": "x", "counts": []}}, id="no number of examples"),
    ],
)
def test_suites_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Suite.model_validate({"name": "t", "uri": "t.jsonl", **changes})


def test_an_evaluation_has_a_suite() -> None:
    with pytest.raises(ValidationError, match="suites"):
        EvaluationSpec(model="bot", suites=[])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"suites": [{"name": "t", "uri": "a"}, {"name": "t", "uri": "b"}]},
            "suite 't' is given 2 times; give each suite a name of its own",
            id="two suites of one name",
        ),
        pytest.param(
            {"gate": [{"metric": "u.score", "atLeast": 0.5}]},
            r"gate metric 'u.score' names no suite; write SUITE.METRIC with one of \['t'\]",
            id="a gate on a suite that is not asked",
        ),
        pytest.param({"model": "My Bot"}, "model", id="a name that no Model can have"),
    ],
)
def test_evaluations_that_cannot_be_judged(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationSpec.model_validate({"model": "bot", "suites": [{"name": "t", "uri": "t.jsonl"}], **changes})


def test_scores_depend_on_rows_and_examples() -> None:
    suites = [Suite(name="a", uri="a.jsonl"), Suite.model_validate({"name": "b", "uri": "b.jsonl", "fewShot": {"uri": "shots.jsonl"}})]
    assert suite_inputs(suites) == {"a": "a.jsonl", "b": "b.jsonl", "b/fewShot": "shots.jsonl"}


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        pytest.param([], "no gate", id="nothing was asked for"),
        pytest.param([(True, "a is fine"), (True, "b is fine")], "a is fine; b is fine", id="all passed"),
        pytest.param([(True, "a is fine"), (False, "b misses")], "b misses", id="only what failed is told"),
    ],
)
def test_a_verdict_gives_its_reason(checks: list[tuple[bool, str]], reason: str) -> None:
    found = [Check(metric="t.x", bar="at least 0.5", passed=passed, reason=words) for passed, words in checks]
    assert Verdict(passed=all(check.passed for check in found), checks=found).reason == reason
