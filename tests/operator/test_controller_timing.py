"""When a resource is looked at again although nothing happened to it."""

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from modelyard.domain.evaluation import Evaluation, EvaluationSpec, EvaluationStatus, Suite
from modelyard.domain.observed import Plan
from modelyard.domain.resource import Metadata
from modelyard.operator.controller import Controller, Timing
from modelyard.operator.metrics import Metrics
from modelyard.operator.ports import ServingSeen
from modelyard.operator.watch_cache import WatchCache


@pytest.mark.parametrize(
    ("following", "now", "again_s"),
    [
        pytest.param("2026-01-01T06:00:00Z", "2026-01-01T05:59:57Z", 3.0, id="at its next tick, however long a settled one is let alone"),
        pytest.param("2026-01-02T06:00:00Z", "2026-01-01T06:00:00Z", None, id="a tick that is far lets it be looked at before"),
        pytest.param("2026-01-01T06:00:00Z", "2026-01-01T06:00:05Z", None, id="a tick that waits for the run before hurries nothing"),
        pytest.param("", "2026-01-01T06:00:05Z", None, id="without a schedule"),
    ],
)
def test_what_has_a_schedule_is_looked_at_when_it_ticks(following: str, now: str, again_s: float | None) -> None:
    spec = EvaluationSpec(model="bot", suites=[Suite(name="t", uri="t.jsonl")])
    status = EvaluationStatus(phase="Passed", next_schedule_time=following)
    evaluation = Evaluation(metadata=Metadata(name="ev", namespace="team"), spec=spec, status=status)
    tenant = SimpleNamespace(
        resources=SimpleNamespace(hold=lambda key: None, find=lambda *key: evaluation),
        reconciler=SimpleNamespace(reconcile=lambda key: Plan()),
        serving=SimpleNamespace(observe=ServingSeen, refresh=frozenset),
    )
    api = SimpleNamespace(clock=SimpleNamespace(now=lambda: now))
    timing = Timing(resync_s=120)
    controller = Controller(api, WatchCache(), lambda namespace: tenant, Metrics(CollectorRegistry()), [], timing)  # type: ignore[arg-type, return-value]
    found = controller._look_at(evaluation.key)
    assert found == again_s if again_s is not None else 96 <= (found or 0) <= 144
