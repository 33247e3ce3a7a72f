"""Schedules as a laptop's passes carry them out, over real stored resources."""

from typing import Any

from tests.operator.test_reconcile import MANIFEST, reconciler, settle

from modelyard.domain.documents import parse_documents
from modelyard.operator.reconcile import Reconciler

__all__ = ["reconciler"]

SCHEDULED = (
    MANIFEST
    + """  refresh: {cron: 0 6 * * *}
---
apiVersion: modelyard.io/v1alpha1
kind: Evaluation
metadata: {name: daily}
spec:
  model: bot
  schedule: {cron: 0 6 * * *}
  suites: [{name: records, uri: "file:///asked.jsonl"}]
"""
)


class ChangingInputs:
    """Everything is there, and changes at once."""

    def __init__(self) -> None:
        self.state = "d"

    def digest(self, uri: str, include: tuple[str, ...]) -> str:
        return self.state * 64


def test_passes_take_ticks_up_once_and_write_nothing_between_them(reconciler: Reconciler) -> None:  # noqa: F811
    store: Any = reconciler.resources
    inputs = ChangingInputs()
    reconciler.inputs = inputs
    for resource in parse_documents(SCHEDULED, "test.yaml"):
        store.apply(resource)

    def pass_at(now: str) -> None:
        reconciler.now = lambda: now
        settle(reconciler)

    pass_at("2026-01-01T12:00:00Z")
    kinds = [name.partition("-")[0] for name in reconciler.jobs.jobs]  # type: ignore[attr-defined]
    inputs.state = "e"
    pass_at("2026-01-01T12:01:00Z")
    revision = store.revision()
    pass_at("2026-01-02T05:59:59Z")
    assert store.revision() == revision
    asked = [name.partition("-")[0] for name in reconciler.jobs.jobs]  # type: ignore[attr-defined]
    assert sorted(asked[len(kinds) :]) == ["evaluate", "evaluate"], "the gate's own rows changed: those are followed"
    pass_at("2026-01-02T06:00:00Z")
    later = [name.partition("-")[0] for name in reconciler.jobs.jobs]  # type: ignore[attr-defined]
    assert sorted(later[len(asked) :]) == ["evaluate", "ingest"]
    revision = store.revision()
    pass_at("2026-01-02T06:00:01Z")
    assert store.revision() == revision
    status = store.get("Evaluation", "default", "daily").status
    assert (status.last_schedule_time, [run.run for run in status.history]) == ("2026-01-02T06:00:00Z", [2, 1])
    assert store.get("Model", "default", "bot").status.phase == "Ready"
