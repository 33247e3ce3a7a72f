"""Counts of one version since this gateway started, in the buckets that rollouts are judged by."""

from bisect import bisect_left

from modelyard.domain.figures import BOUNDS_S, VersionFigures

FAILED = 500
"""From this status on it is not the client's fault."""


class Tally:
    """Counts requests; the counts only grow."""

    def __init__(self) -> None:
        self._requests = self._errors = 0
        self._latency, self._ttft = ([0] * (len(BOUNDS_S) + 1) for _ in range(2))

    def count(self, status: int, seconds: float) -> None:
        """A request ended with an HTTP status after `seconds`."""
        self._requests += 1
        self._errors += status >= FAILED
        self._latency[bisect_left(BOUNDS_S, seconds)] += 1

    def count_first_text(self, seconds: float) -> None:
        """The first text of an answer went out after `seconds`."""
        self._ttft[bisect_left(BOUNDS_S, seconds)] += 1

    @property
    def figures(self) -> VersionFigures:
        """The counts as they are now."""
        return VersionFigures(requests=self._requests, errors=self._errors, latency=list(self._latency), ttft=list(self._ttft))
