"""How long to leave something alone that failed. Knows no API and sleeps nowhere."""

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class BackOff(Generic[K]):
    """Doubles with each failure in a row, and is never shorter than a server asks for. One key at a time is one thread's."""

    def __init__(self, first_s: float, last_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """first_s: after the first failure; last_s: at most, unless a server asks for more. clock: seconds."""
        self._first_s, self._last_s, self._clock = first_s, last_s, clock
        self._failures: dict[K, int] = {}
        self._until: dict[K, float] = {}

    def fail(self, key: K, asked_s: float = 0.0) -> float:
        """Seconds until a key is tried again. asked_s: how long the server asked to be left alone."""
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        if asked_s:
            self._until[key] = self._clock() + asked_s
        return max(asked_s, min(self._first_s * 2.0 ** (failures - 1), self._last_s))

    def rest_s(self, key: K) -> float:
        """What is left of the time that a server asked for, whatever has happened meanwhile; 0 where nothing is."""
        left_s = self._until.get(key, 0.0) - self._clock()
        if left_s <= 0:
            self._until.pop(key, None)
        return max(0.0, left_s)

    def succeed(self, key: K) -> None:
        """The next failure is a first one again."""
        self._failures.pop(key, None)
