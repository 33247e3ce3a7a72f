"""What the operator counts, about its own work and about the objects. Reads statuses, changes nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from modelyard.operator.ports import Key

PHASE_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)


class Metrics:
    """The metrics of one operator process; docs/operations.md lists them."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reconciles = Histogram("modelyard_reconcile_seconds", "How long a look at one resource took.", ["kind"], registry=registry)
        self._errors = Counter("modelyard_reconcile_errors", "Looks at a resource that ended with a bug.", ["kind"], registry=registry)
        self._phase = Gauge(
            "modelyard_resource_phase", "1 for the phase that a resource is in.", ["kind", "namespace", "name", "phase"], registry=registry
        )
        self._phase_seconds = Histogram(
            "modelyard_phase_seconds",
            "How long resources were in a phase that they left.",
            ["kind", "phase"],
            buckets=PHASE_BUCKETS_S,
            registry=registry,
        )
        self._percent = Gauge(
            "modelyard_job_progress_percent", "How far the job of a resource is.", ["kind", "namespace", "name"], registry=registry
        )
        self._gates = Counter(
            "modelyard_gate_results",
            "Versions and evaluations that a gate let pass or rejected.",
            ["kind", "namespace", "name", "result"],
            registry=registry,
        )
        self._entered: dict[Key, tuple[str, float]] = {}

    @contextmanager
    def time_reconcile(self, kind: str) -> Iterator[None]:
        """Time one look."""
        with self._reconciles.labels(kind).time():
            yield

    def count_error(self, kind: str) -> None:
        """Count a look that ended with a bug."""
        self._errors.labels(kind).inc()

    def observe(self, key: Key, status: Any) -> None:
        """Take over the status of a resource."""
        kind, namespace, name = key
        if status.progress is not None:
            self._percent.labels(*key).set(status.progress.percent)
        former, since = self._entered.get(key, ("", 0.0))
        if status.phase == former:
            return
        if former:
            self._phase.remove(kind, namespace, name, former)
            self._phase_seconds.labels(kind, former).observe(self._clock() - since)
            if status.phase in ("Rejected", "Passed") or (former == "Evaluating" and status.phase in ("Deploying", "Ready")):
                self._gates.labels(*key, "rejected" if status.phase == "Rejected" else "passed").inc()
        self._phase.labels(kind, namespace, name, status.phase).set(1)
        self._entered[key] = (status.phase, self._clock())

    def forget(self, key: Key) -> None:
        """Drop the series of a resource that is gone."""
        former, _ = self._entered.pop(key, ("", 0.0))
        if not former:
            return
        self._phase.remove(*key, former)
        for result in ("passed", "rejected"):
            self._gates.labels(*key, result)  # made if it was not there, so that it can be removed
            self._gates.remove(*key, result)
        self._percent.labels(*key)
        self._percent.remove(*key)
