"""Keys of what has to be looked at, each handed to one worker at a time. Knows nothing of what they mean."""

import heapq
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """A set of keys with due times. Thread-safe.

    A key that is added again before it is due keeps the earlier time; one that is added while a worker has it is handed out
    again afterwards, so that no change is missed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._taken: set[K] = set()
        self._closed = False

    def add(self, key: K, delay_s: float = 0.0) -> None:
        """Have a key looked at once the delay is over, or earlier if it was asked for earlier."""
        with self._changed:
            due = self._clock() + delay_s
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                self._count += 1
                heapq.heappush(self._heap, (due, self._count, key))
                self._changed.notify()

    def take(self) -> K | None:
        """The next key that is due, waiting for it; None once the queue is closed. Give it back with `done`."""
        with self._changed:
            while not self._closed:
                key, wait_s = self._next()
                if key is not None:
                    self._taken.add(key)
                    return key
                self._changed.wait(wait_s)
            return None

    def done(self, key: K) -> None:
        """Give a key back."""
        with self._changed:
            self._taken.discard(key)
            if key in self._due:
                self._count += 1
                heapq.heappush(self._heap, (self._due[key], self._count, key))
            self._changed.notify()

    def close(self) -> None:
        """Hand out nothing more, and wake who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def pending(self) -> int:
        """How many keys are due now or with a worker."""
        with self._changed:
            now = self._clock()
            return len(self._taken) + sum(due <= now for due in self._due.values())

    def _next(self) -> tuple[K | None, float | None]:
        """A key that is due, else the seconds until one is."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) != due or key in self._taken:
                heapq.heappop(self._heap)  # done comes back to one that is with a worker
                continue
            wait_s = due - self._clock()
            if wait_s > 0:
                return None, wait_s
            heapq.heappop(self._heap)
            del self._due[key]
            return key, None
        return None, None
