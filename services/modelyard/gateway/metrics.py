"""What the gateway counts, for Prometheus and for rollouts. One registry per gateway, so that tests do not meet."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from modelyard.domain.figures import BOUNDS_S, VersionFigures
from modelyard.gateway.tally import Tally


class Metrics:
    """The counters."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds."""
        self.clock = clock
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "modelyard_requests", "Requests by served name and HTTP status", ["model", "status"], registry=self.registry
        )
        self.tokens = Counter("modelyard_tokens", "Tokens by served name", ["model", "kind"], registry=self.registry)
        self.ttft = Histogram(
            "modelyard_time_to_first_token_seconds", "From request to first text", ["model"], buckets=BOUNDS_S, registry=self.registry
        )
        self.duration = Histogram(
            "modelyard_request_seconds", "From request to end of answer", ["model"], buckets=BOUNDS_S, registry=self.registry
        )
        self.version_requests = Counter(
            "modelyard_version_requests", "Requests by ModelVersion and HTTP status", ["version", "status"], registry=self.registry
        )
        self.version_ttft = Histogram(
            "modelyard_version_time_to_first_token_seconds",
            "From request to first text, by ModelVersion",
            ["version"],
            buckets=BOUNDS_S,
            registry=self.registry,
        )
        self.version_duration = Histogram(
            "modelyard_version_request_seconds",
            "From request to end of answer, by ModelVersion",
            ["version"],
            buckets=BOUNDS_S,
            registry=self.registry,
        )
        self._tallies: dict[str, Tally] = {}
        self.in_flight = Gauge("modelyard_requests_in_flight", "Requests being answered", ["model"], registry=self.registry)

    def measure(self, model: str, version: str = "") -> "Measurement":
        """Begin to measure one request for a served name that exists; `version`: the ModelVersion that answers, if any."""
        return Measurement(self, model, version)

    def figures(self) -> dict[str, VersionFigures]:
        """The counters of each version that was asked since this gateway started."""
        return {version: tally.figures for version, tally in self._tallies.items()}

    def tally(self, version: str) -> Tally:
        """The counts of a version."""
        return self._tallies.setdefault(version, Tally())

    def refuse(self, status: int) -> None:
        """Count a request without a served name; the name that it had is no label, for clients could make up endlessly many."""
        self.requests.labels("", str(status)).inc()

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class Measurement:
    """One request, from its start to the end of its answer. A context manager; ends once."""

    def __init__(self, metrics: Metrics, model: str, version: str) -> None:
        self._metrics, self._model, self._version = metrics, model, version
        self._start = metrics.clock()
        self._text_seen = False
        self._failed: int | None = None

    def __enter__(self) -> Self:
        self._metrics.in_flight.labels(self._model).inc()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # 499, as nginx writes for a client that went away: the exception is then a cancellation.
        status = (self._failed or 200) if kind is None else getattr(error, "status", 500 if issubclass(kind, Exception) else 499)
        self._metrics.in_flight.labels(self._model).dec()
        self._metrics.requests.labels(self._model, str(status)).inc()
        seconds = self._metrics.clock() - self._start
        self._metrics.duration.labels(self._model).observe(seconds)
        if self._version:
            self._metrics.version_requests.labels(self._version, str(status)).inc()
            self._metrics.version_duration.labels(self._version).observe(seconds)
            self._metrics.tally(self._version).count(status, seconds)

    def on_piece(self) -> None:
        """A piece of text goes out."""
        if not self._text_seen:
            self._text_seen = True
            seconds = self._metrics.clock() - self._start
            self._metrics.ttft.labels(self._model).observe(seconds)
            if self._version:
                self._metrics.version_ttft.labels(self._version).observe(seconds)
                self._metrics.tally(self._version).count_first_text(seconds)

    def fail(self, status: int) -> None:
        """The answer broke off, after its 200 had gone out."""
        self._failed = status

    def count(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add the tokens of this request."""
        self._metrics.tokens.labels(self._model, "prompt").inc(prompt_tokens)
        self._metrics.tokens.labels(self._model, "completion").inc(completion_tokens)
