"""Remember which requests passed the proxy, for tests that count them."""

import threading
from typing import Unpack

from harness.calls import Call
from harness.faults import Match, MatchFields


class Traffic:
    """Every request, in the order of arrival, those that a fault answered too."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def record(self, call: Call) -> None:
        """Add a request."""
        with self._lock:
            self._calls.append(call)

    def calls(self, **fields: Unpack[MatchFields]) -> list[Call]:
        """The requests that match, all without arguments: `calls(kind="write", resource="rayjobs")`."""
        match = Match(**fields)
        with self._lock:
            return [call for call in self._calls if match.fits(call)]

    def count(self, **fields: Unpack[MatchFields]) -> int:
        """How many requests match."""
        return len(self.calls(**fields))

    def clear(self) -> None:
        """Begin counting anew."""
        with self._lock:
            self._calls.clear()
