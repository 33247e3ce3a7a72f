from typing import Any

import pytest

from modelyard.domain.model import Serving
from modelyard.domain.names import engine_name
from modelyard.domain.problems import find_problems
from modelyard.domain.rollout import Rollout, RolloutStatus


def test_a_rollout_as_people_write_it() -> None:
    rollout = Rollout.model_validate({"steps": [10, 50], "interval": "1h30m", "abortIf": [{"metric": "error_rate", "above": 0.01}]})
    assert (rollout.interval_s, rollout.min_requests) == (5400, 0)
    assert [rollout.weight(step) for step in (1, 2, 3)] == [10, 50, 50]
    assert Rollout(steps=[5]).interval_s == 300


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        pytest.param({}, "steps is missing; add it: Percent of the requests", id="no steps"),
        pytest.param({"steps": []}, "steps is an empty list; give a list with at least 1 and at most 20 entries", id="an empty list"),
        pytest.param({"steps": list(range(1, 30))}, "at most 20 entries", id="too many steps"),
        pytest.param({"steps": [50, 10]}, "10 follows 50; write the percentages in ascending order: [10, 50]", id="downwards"),
        pytest.param({"steps": [10, 10]}, "10 follows 10; write the percentages in ascending order: [10]", id="twice the same"),
        pytest.param({"steps": [0]}, "steps[0] is 0; give a whole number, at least 1 and at most 99", id="none at all"),
        pytest.param({"steps": [10, 100]}, "steps[1] is 100; give a whole number, at least 1 and at most 99", id="all of them"),
        pytest.param({"steps": [10], "interval": "5"}, "interval is '5'; give Time such as 30s, 5m or 1h30m", id="no unit"),
        pytest.param({"steps": [10], "interval": "5 min"}, "give Time such as 30s, 5m or 1h30m", id="words"),
        pytest.param({"steps": [10], "interval": "0.5s"}, "interval: 0.5s is shorter than 1s; write at least 1s", id="too short"),
        pytest.param({"steps": [10], "minRequests": -1}, "minRequests is -1; give a whole number, at least 0", id="a negative count"),
        pytest.param(
            {"steps": [10], "evaluation": {"suites": [{"name": "a", "uri": "x"}], "gate": [{"metric": "b.score", "atLeast": 1}]}},
            "gate metric 'b.score' names no suite; write SUITE.METRIC with one of ['a']",
            id="a gate on a suite that is not there",
        ),
        pytest.param(
            {"steps": [10], "evaluation": {"suites": [{"name": "a", "uri": "x"}], "gate": []}},
            "evaluation.gate is an empty list; give a list with at least 1",
            id="an evaluation that nothing follows from",
        ),
        pytest.param(
            {"steps": [10], "abortIf": [{"metric": "p95_latency", "above": 2}]},
            "did you mean p95_latency_seconds?",
            id="a metric that there is not",
        ),
        pytest.param(
            {"steps": [10], "abortIf": [{"metric": "error_rate", "above": 1}]},
            "abortIf[0]: error_rate never goes above 1; write a share of the requests, such as 0.01 for 1 %",
            id="a share in percent",
        ),
        pytest.param(
            {"steps": [10], "abortIf": [{"metric": "p95_latency_seconds", "above": 500}]},
            "p95_latency_seconds is not measured above 120 s; write less than 120 instead of 500",
            id="a duration that is not measured",
        ),
        pytest.param(
            {"steps": [10], "abortIf": [{"metric": "error_rate", "above": 0.1}, {"metric": "error_rate", "above": 0.2}]},
            "abortIf: error_rate has 2 rules; keep the one with the lowest `above`",
            id="two rules for one metric",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(document: dict[str, Any], problem: str) -> None:
    found = [str(each) for each in find_problems(Rollout, document)]
    assert len(found) == 1 and problem in found[0]


def test_a_changed_rollout_restarts_no_engine() -> None:
    assert engine_name("b", Serving(rollout=Rollout(steps=[5]))) == engine_name("b", Serving())
    assert engine_name("b", Serving(max_model_length=64)) != engine_name("b", Serving())


def test_a_status_survives_the_wire() -> None:
    status = RolloutStatus(version="bot-2", previous="bot-1", phase="Progressing", step=1, weight=10, since="2026-01-01T00:00:00Z")
    assert RolloutStatus.model_validate(status.wire()) == status
