"""Tell the time by the API server's clock, whatever the clock of this machine says. Knows no request."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

UNTOLD_S = 1.0
"""An answer's date has whole seconds."""
LATE_S = 2.0
"""How old an answer may be before its date is taken for a clock that was set back."""


class ServerClock:
    """What the dates of the API server's answers say, carried on by a clock that nobody sets. Thread-safe.

    Times in a status outlive the operator that wrote them, and the next one runs on another machine: by its own clock, minutes
    ahead, a step of a rollout would be over at once.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        """steady: seconds that only grow. wall: Unix seconds of this machine, which count until the server has told its own."""
        self._steady, self._wall = steady, wall
        self._lock = threading.Lock()
        self._ahead: float | None = None
        """The server's Unix seconds less the steady ones; None until it was heard."""

    def hear(self, date: str | None) -> None:
        """Take over the `Date` of an answer that has just come. One that is missing or not readable says nothing."""
        try:
            told = parsedate_to_datetime(date or "").timestamp()
        except (TypeError, ValueError):
            return
        ahead = told - self._steady()
        with self._lock:
            # An answer is never early, so the greatest is the nearest; one far below says that the clock was set back.
            if self._ahead is None or not self._ahead - LATE_S - UNTOLD_S <= ahead <= self._ahead:
                self._ahead = ahead

    def seconds(self) -> float:
        """Unix seconds."""
        with self._lock:
            return self._wall() if self._ahead is None else self._ahead + self._steady()

    def now(self) -> str:
        """UTC, RFC 3339, in whole seconds."""
        return datetime.fromtimestamp(self.seconds(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
