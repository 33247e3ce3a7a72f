"""What the operator counts, about its own work and about the objects. Reads statuses, changes nothing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from modelyard.operator.ports import Key

PHASE_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 14400, 86400)
RESULTS = {"GatePassed": "passed", "RollingOut": "passed", "Paused": "passed", "GateRejected": "rejected"}
"""Reason of a condition → what the gate said; a rollout begins only with a version that passed."""
WORK = {"": "Namespace", "*": "Everything"}
"""What a look is at that is not at one resource: the serving side of a namespace; a listing of all that there is."""


@dataclass
class _Seen:
    """A resource as it was at the last look."""

    phase: str
    since: float
    judged: set[tuple[str, str]] = field(default_factory=set)
    """(version, result) of the gate, those that were there at the first look too."""


class Metrics:
    """The metrics of one operator process; docs/operations.md lists them. A resource that is gone leaves no series."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds."""
        self._registry, self._clock = registry, clock
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
            "modelyard_job_progress_percent",
            "How far the job is that runs now.",
            ["kind", "namespace", "name"],
            registry=registry,
        )
        self._gates = Counter(
            "modelyard_gate_results",
            "Versions and evaluations that a gate let pass or rejected.",
            ["kind", "namespace", "name", "result"],
            registry=registry,
        )
        self._reviews = Counter(
            "modelyard_admission_reviews", "Resources that were judged before they were stored.", ["kind", "result"], registry=registry
        )
        self._seen: dict[Key, _Seen] = {}

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Tell how much work is due, asked for anew whenever the metrics are read."""
        gauge = Gauge("modelyard_queue_depth", "Looks that are due now or under way.", registry=self._registry)
        gauge.set_function(depth)

    def watch_leadership(self, leads: Callable[[], bool]) -> None:
        """Tell whether this process does the work."""
        gauge = Gauge("modelyard_leader", "1 where this process does the work, 0 where it waits for the Lease.", registry=self._registry)
        gauge.set_function(leads)

    @contextmanager
    def time_reconcile(self, kind: str) -> Iterator[None]:
        """Time one look."""
        with self._reconciles.labels(WORK.get(kind, kind)).time():
            yield

    def count_error(self, kind: str) -> None:
        """Count a look that ended with a bug."""
        self._errors.labels(WORK.get(kind, kind)).inc()

    def count_review(self, kind: str, result: str) -> None:
        """Count a resource that was judged before it was stored: `allowed`, `warned`, `refused`, or `failed` with a bug."""
        self._reviews.labels(kind, result).inc()

    def observe(self, key: Key, status: Any) -> None:
        """Take over the status of a resource. What a gate had said before the first look is not counted again."""
        self._take_progress(key, status.progress)
        judged = _results(status)
        seen = self._seen.get(key)
        if seen is None:
            self._phase.labels(*key, status.phase).set(1)
            self._seen[key] = _Seen(status.phase, self._clock(), judged)
            return
        for _, result in judged - seen.judged:
            self._gates.labels(*key, result).inc()
        seen.judged |= judged
        if status.phase != seen.phase:
            self._phase.remove(*key, seen.phase)
            self._phase_seconds.labels(key[0], seen.phase).observe(self._clock() - seen.since)
            self._phase.labels(*key, status.phase).set(1)
            seen.phase, seen.since = status.phase, self._clock()

    def forget(self, key: Key) -> None:
        """Drop the series of a resource that is gone; again is nothing."""
        seen = self._seen.pop(key, None)
        if seen is None:
            return
        self._phase.remove(*key, seen.phase)
        self._take_progress(key, None)
        for result in set(RESULTS.values()):
            self._gates.labels(*key, result)  # made if it was not there: only what is there can be removed
            self._gates.remove(*key, result)

    def _take_progress(self, key: Key, progress: Any) -> None:
        percent = self._percent.labels(*key)
        if progress is None:
            self._percent.remove(*key)
        else:
            percent.set(progress.percent)


def _results(status: Any) -> set[tuple[str, str]]:
    """What a gate said of which version, by the conditions: a phase may have come and gone between two looks."""
    verdict = getattr(status, "verdict", None)
    if verdict is not None:
        return {(status.target, "passed" if verdict.passed else "rejected")}
    if all(condition.type != "Evaluated" for condition in status.conditions):
        return set()  # there is no gate
    return {(status.version, RESULTS[condition.reason]) for condition in status.conditions if condition.reason in RESULTS}
