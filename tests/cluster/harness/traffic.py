"""Remember which requests passed the proxy, for tests that count them."""

import threading
import time
from typing import Unpack

from harness.calls import Call
from harness.faults import Match, MatchFields


class Traffic:
    """Every request, in the order of arrival, those that a fault answered too."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._moments: list[float] = []
        self._lock = threading.Lock()

    def record(self, call: Call) -> None:
        """Add a request."""
        with self._lock:
            self._calls.append(call)
            self._moments.append(time.monotonic())

    def calls(self, **fields: Unpack[MatchFields]) -> list[Call]:
        """The requests that match, all without arguments: `calls(kind="write", resource="rayjobs")`."""
        match = Match(**fields)
        with self._lock:
            return [call for call in self._calls if match.fits(call)]

    def moments(self, **fields: Unpack[MatchFields]) -> list[float]:
        """When the requests came that match, in seconds of `time.monotonic`."""
        match = Match(**fields)
        with self._lock:
            return [moment for call, moment in zip(self._calls, self._moments, strict=True) if match.fits(call)]

    def count(self, **fields: Unpack[MatchFields]) -> int:
        """How many requests match."""
        return len(self.calls(**fields))

    def clear(self) -> None:
        """Begin counting anew."""
        with self._lock:
            self._calls.clear()
            self._moments.clear()
