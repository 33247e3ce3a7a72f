"""What a gateway counts of one version, and the figures that are read from it. Pure; knows no HTTP and no rollout."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, get_args

from pydantic import Field

from modelyard.domain.base import Spec

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper ends, in seconds, of the buckets that durations are counted in; one bucket more holds what is longer."""

Metric = Literal[
    "error_rate",
    "p50_latency_seconds",
    "p95_latency_seconds",
    "p99_latency_seconds",
    "p50_ttft_seconds",
    "p95_ttft_seconds",
    "p99_ttft_seconds",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
SIGNIFICANT_DIGITS = 4


class VersionFigures(Spec):
    """Counters of one version since its gateway started. They only grow; smaller ones mean another gateway."""

    requests: int = Field(default=0, ge=0)
    """Requests that were answered, well or not."""
    errors: int = Field(default=0, ge=0)
    """Requests that were answered with a status of 500 or above, or whose answer broke off."""
    latency: list[int] = []
    """Requests by their whole duration: one count for each bucket of `BOUNDS_S`, and one for what is longer."""
    ttft: list[int] = []
    """Requests by the time to their first text, in the same buckets."""

    def since(self, earlier: "VersionFigures") -> "VersionFigures | None":
        """What was counted after an earlier look; None where any count is smaller than it was."""
        requests, errors = self.requests - earlier.requests, self.errors - earlier.errors
        latency, ttft = _minus(self.latency, earlier.latency), _minus(self.ttft, earlier.ttft)
        if min(requests, errors, *latency, *ttft) < 0:
            return None
        return VersionFigures(requests=requests, errors=errors, latency=latency, ttft=ttft)

    def figure(self, metric: Metric) -> float | None:
        """One figure, a share or seconds; None while nothing was counted for it."""
        if metric == "error_rate":
            return self.errors / self.requests if self.requests else None
        percentile, what, _ = metric.split("_")
        return quantile(self.latency if what == "latency" else self.ttft, int(percentile[1:]) / 100)

    def figures(self) -> dict[str, float]:
        """All figures there are, to four significant digits."""
        known = {metric: self.figure(metric) for metric in METRICS}
        return {metric: rounded(value) for metric, value in known.items() if value is not None}


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The seconds below which a share of durations lie, interpolated within a bucket as Prometheus does.

    counts: per bucket of `BOUNDS_S` and one above. The longest are told as the last bound. None without any count.
    """
    total = sum(counts)
    if not total:
        return None
    rank = share * total
    for position, below in enumerate(accumulate(counts)):
        if below >= rank and position < len(BOUNDS_S):
            start = BOUNDS_S[position - 1] if position else 0.0
            return start + (BOUNDS_S[position] - start) * (rank - (below - counts[position])) / counts[position]
    return BOUNDS_S[-1]


def rounded(value: float) -> float:
    """To four significant digits."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _minus(later: Sequence[int], earlier: Sequence[int]) -> list[int]:
    """Bucket by bucket; a list that is empty stands for zeros."""
    size = max(len(later), len(earlier))
    return [a - b for a, b in zip(_filled(later, size), _filled(earlier, size), strict=True)]


def _filled(counts: Sequence[int], size: int) -> list[int]:
    return [*counts, *([0] * (size - len(counts)))]
