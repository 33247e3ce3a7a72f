"""A step of a rollout, judged by what was counted and scored of the new version."""

from typing import Any

import pytest

from modelyard.domain.evaluation import Check, Verdict
from modelyard.domain.figures import VersionFigures
from modelyard.domain.rollout import Analysis, Rollout, RolloutStatus
from modelyard.domain.rollout_analysis import StepAnalysis, counted
from modelyard.domain.rollout_situation import Evaluated

MISSED = Verdict(
    passed=False, checks=[Check(metric="t.f1", bar="at least 0.8", value=0.5, passed=False, reason="t.f1 0.5 misses at least 0.8")]
)


def step(requests: int = 0, errors: int = 0, evaluated: Evaluated | None = None, **rollout: Any) -> StepAnalysis:
    """At 10 %, with a rule against errors."""
    rules = {"steps": [10, 50], "abortIf": [{"metric": "error_rate", "above": 0.01}]}
    return StepAnalysis(
        Rollout.model_validate(rules | rollout),
        RolloutStatus(version="two", phase="Progressing", step=1, weight=10),
        VersionFigures(requests=requests, errors=errors),
        evaluated,
    )


@pytest.mark.parametrize(
    ("judged", "breach", "lack"),
    [
        pytest.param(step(), "", "", id="nobody asked: nothing speaks against it"),
        pytest.param(step(100, 1), "", "", id="a rule is broken above its bar, not at it"),
        pytest.param(step(100, 2), "error_rate 0.02 is above 0.01 at 10 % (100 requests)", "", id="a rule is broken"),
        pytest.param(step(1, 1), "error_rate 1 is above 0.01 at 10 % (1 request)", "", id="by a single request"),
        pytest.param(step(9, 9, minRequests=10), "", "10 requests", id="too few requests to judge"),
        pytest.param(step(evaluated=Evaluated()), "", "its evaluation", id="not scored yet"),
        pytest.param(step(evaluated=Evaluated(message="no rows")), "", "its evaluation: no rows", id="not scored, with the cause"),
        pytest.param(step(evaluated=Evaluated(Verdict(passed=True))), "", "", id="scored well"),
        pytest.param(step(evaluated=Evaluated(MISSED)), "t.f1 0.5 misses at least 0.8 at 10 %", "", id="a bar is missed"),
        pytest.param(
            step(0, 0, Evaluated(MISSED), minRequests=10), "t.f1 0.5 misses at least 0.8 at 10 %", "10 requests", id="before anyone"
        ),
    ],
)
def test_a_step_is_judged(judged: StepAnalysis, breach: str, lack: str) -> None:
    assert (judged.breach(), judged.lack()) == (breach, lack)


def test_figures_and_scores_are_recorded_with_the_step() -> None:
    recorded = step(100, 2, Evaluated(MISSED)).recorded(passed=False)
    assert recorded.analyses == [Analysis(step=1, weight=10, requests=100, figures={"error_rate": 0.02, "t.f1": 0.5}, passed=False)]


def test_one_is_no_plural() -> None:
    assert [counted(count, "step") for count in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
