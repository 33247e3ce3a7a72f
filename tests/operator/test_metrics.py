"""What is counted of objects: phases, how long they took, what gates said, and nothing of what is gone."""

from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry

from modelyard.domain.evaluation import EvaluationStatus, Verdict
from modelyard.domain.model import ModelStatus
from modelyard.domain.resource import Condition, Progress
from modelyard.operator.metrics import Metrics

KEY = ("Model", "team", "bot")
WHO = {"kind": "Model", "namespace": "team", "name": "bot"}


class Counted:
    """Metrics with a clock that the test moves, and what is read from them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, lambda: self.now)

    def look(self, status: Any, key: tuple[str, str, str] = KEY) -> None:
        self.metrics.observe(key, status)

    def value(self, series: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(series, labels)

    def gates(self, result: str) -> float | None:
        return self.value("modelyard_gate_results_total", **WHO, result=result)

    def series(self) -> list[str]:
        """Of one resource: those that carry its name."""
        return [sample.name for family in self.registry.collect() for sample in family.samples if sample.labels.get("name") == "bot"]


@pytest.fixture
def counted() -> Counted:
    return Counted()


def status(phase: str, version: str = "bot-1", reason: str = "", percent: float | None = None, gated: bool = True) -> ModelStatus:
    conditions = [Condition(type="Evaluated", status="True", reason="Scored")] if gated else []
    truth: Literal["True", "False"] = "False" if reason == "GateRejected" else "True"
    conditions += [Condition(type="Promoted", status=truth, reason=reason)] if reason else []
    progress = None if percent is None else Progress(percent=percent)
    return ModelStatus.model_validate({"phase": phase}).model_copy(
        update={"version": version, "conditions": conditions, "progress": progress}
    )


def test_a_resource_is_in_one_phase(counted: Counted) -> None:
    counted.look(status("Training"))
    counted.look(status("Evaluating"))
    assert counted.value("modelyard_resource_phase", **WHO, phase="Evaluating") == 1
    assert counted.value("modelyard_resource_phase", **WHO, phase="Training") is None


def test_the_time_in_a_phase_is_counted_when_it_is_left(counted: Counted) -> None:
    counted.look(status("Training"))
    counted.now = 40
    counted.look(status("Training"))
    assert counted.value("modelyard_phase_seconds_count", kind="Model", phase="Training") is None
    counted.now = 100
    counted.look(status("Evaluating"))
    assert counted.value("modelyard_phase_seconds_sum", kind="Model", phase="Training") == 100


@pytest.mark.parametrize(
    ("looks", "passed", "rejected"),
    [
        pytest.param([status("Evaluating"), status("Deploying", reason="GatePassed")], 1, None, id="passed, and seen on the way"),
        pytest.param([status("Evaluating"), status("Ready", reason="GatePassed")], 1, None, id="passed and served between two looks"),
        pytest.param([status("Training"), status("Ready", reason="GatePassed")], 1, None, id="scored, passed and served between two looks"),
        pytest.param(
            [status("Evaluating"), status("Deploying", reason="GatePassed"), status("Ready", reason="GatePassed")],
            1,
            None,
            id="counted once however often it is seen",
        ),
        pytest.param([status("Evaluating"), status("Rejected", reason="GateRejected")], None, 1, id="rejected"),
        pytest.param(
            [status("Evaluating"), status("Ready", reason="GatePassed"), status("Ready", "bot-2", "GatePassed")],
            2,
            None,
            id="the next version is another result, in the same phase too",
        ),
        pytest.param(
            [status("Evaluating"), status("RollingOut", reason="RollingOut"), status("Ready", reason="GatePassed")],
            1,
            None,
            id="a rollout begins with a version that passed, and its end is no second result",
        ),
        pytest.param([status("Ready", reason="GatePassed")] * 2, None, None, id="what was so at the first look was counted before"),
        pytest.param(
            [status("Fetching", gated=False), status("Ready", reason="GatePassed", gated=False)], None, None, id="there is no gate"
        ),
    ],
)
def test_a_gate_result_is_counted_once(counted: Counted, looks: list[ModelStatus], passed: float | None, rejected: float | None) -> None:
    for look in looks:
        counted.look(look)
    assert (counted.gates("passed"), counted.gates("rejected")) == (passed, rejected)


def test_the_result_of_an_evaluation_is_counted(counted: Counted) -> None:
    key = ("Evaluation", "team", "nightly")
    counted.look(EvaluationStatus(phase="Running", target="bot-1"), key)
    counted.look(EvaluationStatus(phase="Rejected", target="bot-1", verdict=Verdict(passed=False)), key)
    labels = {"kind": "Evaluation", "namespace": "team", "name": "nightly", "result": "rejected"}
    assert counted.value("modelyard_gate_results_total", **labels) == 1


def test_progress_is_of_the_job_that_runs_now(counted: Counted) -> None:
    counted.look(status("Training", percent=40))
    assert counted.value("modelyard_job_progress_percent", **WHO) == 40
    counted.look(status("Evaluating"))
    assert counted.value("modelyard_job_progress_percent", **WHO) is None


def test_what_is_gone_leaves_no_series(counted: Counted) -> None:
    counted.look(status("Evaluating", percent=40))
    counted.look(status("Ready", reason="GatePassed", percent=90))
    assert len(counted.series()) >= 3
    counted.metrics.forget(KEY)
    counted.metrics.forget(KEY)
    assert counted.series() == []


def test_a_namesake_begins_anew(counted: Counted) -> None:
    counted.look(status("Ready"))
    counted.metrics.forget(KEY)
    counted.now = 1000
    counted.look(status("Pending"))
    assert counted.value("modelyard_phase_seconds_count", kind="Model", phase="Ready") is None


def test_looks_are_timed_by_what_they_are_at(counted: Counted) -> None:
    for kind in ("Model", "", "*"):
        with counted.metrics.time_reconcile(kind):
            pass
    counted.metrics.count_error("")
    kinds = [counted.value("modelyard_reconcile_seconds_count", kind=kind) for kind in ("Model", "Namespace", "Everything")]
    assert kinds == [1, 1, 1]
    assert counted.value("modelyard_reconcile_errors_total", kind="Namespace") == 1


def test_the_depth_of_the_queue_and_the_leadership_are_read_when_they_are_asked_for(counted: Counted) -> None:
    state = {"depth": 3, "leads": False}
    counted.metrics.watch_queue(lambda: int(state["depth"]))
    counted.metrics.watch_leadership(lambda: bool(state["leads"]))
    assert (counted.value("modelyard_queue_depth"), counted.value("modelyard_leader")) == (3, 0)
    state |= {"depth": 0, "leads": True}
    assert (counted.value("modelyard_queue_depth"), counted.value("modelyard_leader")) == (0, 1)


def test_resources_that_were_judged_are_counted_by_what_was_said(counted: Counted) -> None:
    for result in ("allowed", "refused", "refused"):
        counted.metrics.count_review("Model", result)
    assert counted.value("modelyard_admission_reviews_total", kind="Model", result="refused") == 2
