"""Let one of several replicas work: a Lease, as Kubernetes' own controllers have it."""

import logging
import os
import threading
from collections.abc import Callable

from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

logger = logging.getLogger(__name__)

LEASE_NAME = "modelyard-operator"
LEASE_S, RENEW_S, RETRY_S = 15, 10, 2
LOST_EXIT_CODE = 3


def _end_at_once() -> None:
    """A replica that lost its Lease must not write any more; the kubelet starts it again, as a follower."""
    logger.error("the Lease is lost: this replica ends")
    os._exit(LOST_EXIT_CODE)


class Leader:
    """A candidate for the Lease."""

    def __init__(self, namespace: str, identity: str, lost: Callable[[], None] = _end_at_once) -> None:
        """identity: of this replica, the name of its pod. lost: called when the Lease could not be renewed in time."""
        self._leading = threading.Event()
        self._stop = threading.Event()
        self._lost = lost
        self._lock = LeaseLock(LEASE_NAME, namespace, identity)

    def acquire(self) -> None:
        """Return once this replica leads."""
        config = Config(
            self._lock,
            lease_duration=LEASE_S,
            renew_deadline=RENEW_S,
            retry_period=RETRY_S,
            onstarted_leading=self._lead,
            onstopped_leading=self._stopped,
        )
        threading.Thread(target=LeaderElection(config).run, name="leader", daemon=True).start()
        self._leading.wait()

    def release(self) -> None:
        """Stop without taking it for a loss. The Lease runs out by itself."""
        self._stop.set()

    def _lead(self) -> None:
        logger.info("this replica leads")
        self._leading.set()

    def _stopped(self) -> None:
        if not self._stop.is_set():
            self._lost()
