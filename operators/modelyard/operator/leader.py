"""Let one of several replicas work: a Lease, as Kubernetes' own controllers have it. Knows nothing of the work.

Kubernetes' Python client has an election too. Its leader goes on working for ever when the API server does not answer, since
its loop ends with the first broken connection, and it never gives a Lease back.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

logger = logging.getLogger(__name__)

LOST_EXIT_CODE = 3


@dataclass(frozen=True)
class LeaseTiming:
    """Seconds, with the relations that Kubernetes' controllers have."""

    lease_s: float = 15.0
    """How long others wait after they last saw the Lease renewed."""
    renew_s: float = 10.0
    """A leader that could not renew for so long ends itself: well before others take over."""
    retry_s: float = 2.0
    """Between two tries."""


@dataclass(frozen=True)
class Hold:
    """What a Lease says."""

    holder: str
    """Empty: it was given back."""
    lease_s: float
    version: str = ""
    """Changes with every write, by whomever."""


class LeaseUnreachableError(Exception):
    """The API server did not answer, or refused."""


class Lease(Protocol):
    """One Lease, for several candidates. Every method may raise LeaseUnreachableError."""

    def read(self) -> Hold | None:
        """What it says; None while there is none."""
        ...

    def write(self, hold: Hold, before: Hold | None) -> Hold | None:
        """Replace what it said before (None: make it) and return it with its version; None if somebody was faster."""
        ...


def _end_at_once() -> None:
    """A replica that lost its Lease must not write any more; the kubelet starts it again, as a follower."""
    logger.error("the Lease could not be renewed in time: this replica ends")
    os._exit(LOST_EXIT_CODE)


class Leader:
    """A candidate for the Lease. It measures time from when it saw the Lease change, so clocks need not agree."""

    def __init__(
        self,
        lease: Lease,
        identity: str,
        timing: LeaseTiming | None = None,
        lost: Callable[[], None] = _end_at_once,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """identity: unique to this process. lost: called when the Lease could not be renewed in time. clock: seconds."""
        self.identity, self.timing = identity, timing or LeaseTiming()
        self._lease, self._lost, self._clock = lease, lost, clock
        self._observed: Hold | None = None
        self._observed_at = 0.0
        self._renewed_at = 0.0
        self._leading = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def leads(self) -> bool:
        """Whether this replica holds the Lease."""
        return self._leading.is_set()

    def acquire(self) -> bool:
        """Return True once this replica leads: from then on the Lease is renewed by itself. False: it was released meanwhile."""
        logger.info("%s waits for the Lease", self.identity)
        while not self.try_once():
            if self._stop.wait(self.timing.retry_s):
                return False
        logger.info("%s leads", self.identity)
        for work in (self._renew, self._guard):
            thread = threading.Thread(target=work, name=f"leader{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return True

    def release(self) -> None:
        """Give the Lease back, so that another replica need not wait for its end. Call it when nothing is written any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if not self._leading.is_set():
            return
        self._leading.clear()
        try:
            self._lease.write(Hold("", self.timing.lease_s), self._observed)
        except LeaseUnreachableError as error:
            logger.info("the Lease was not given back (%s); it runs out by itself", error)

    def try_once(self) -> bool:
        """Take the Lease if it is free, or renew it; whether this replica holds it now."""
        began = self._clock()
        try:
            held = self._lease.read()
            if held is not None and held != self._observed:
                self._observed, self._observed_at = held, began
            if held is not None and held.holder not in ("", self.identity) and began < self._observed_at + held.lease_s:
                return False
            written = self._lease.write(Hold(self.identity, self.timing.lease_s), held)
        except LeaseUnreachableError as error:
            logger.info("the Lease: %s", error)
            return False
        if written is None:
            return False
        self._observed = written
        self._observed_at = self._renewed_at = began
        self._leading.set()
        return True

    def has_lost(self) -> bool:
        """Whether a leader could not renew for too long, or sees that another one holds the Lease."""
        taken = self._observed is not None and self._observed.holder not in ("", self.identity)
        return taken or self._clock() >= self._renewed_at + self.timing.renew_s

    def _renew(self) -> None:
        while not self._stop.wait(self.timing.retry_s):
            if not self.try_once() and self.has_lost():
                self._lost()
                return

    def _guard(self) -> None:
        """Beside the renewing, which a request without an answer may hold up."""
        while not self._stop.wait(max(0.0, self._renewed_at + self.timing.renew_s - self._clock())):
            if self.has_lost():
                self._lost()
                return
