"""The operator from its start to its end: wait for the Lease, work, stop. Knows the parts, not how they work."""

import logging
import threading
from collections.abc import Callable
from typing import Literal

from modelyard.operator.controller import Controller
from modelyard.operator.handlers import Watches
from modelyard.operator.leader import Leader

logger = logging.getLogger(__name__)

State = Literal["starting", "waiting for the Lease", "waiting for the API server", "working", "stopping", "failed"]


class Running:
    """Everything happens in threads, so that the main one can wait for signals."""

    def __init__(self, controller: Controller, watches: Watches, leader: Leader | None, workers: int, ended: Callable[[], None]) -> None:
        """leader: None, there is no other replica. workers: threads that reconcile. ended: called when the start failed."""
        self.state: State = "starting"
        self._controller, self._watches, self._leader, self._workers = controller, watches, leader, workers
        self._ended = ended
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._start, name="start", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this replica is the one that works."""
        return self._leader is None or self._leader.leads

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being worked on, then let another replica go on."""
        self._stopping.set()
        if self._leader is not None and not self._leader.leads:
            self._leader.release()
        self._controller.stop()
        self._thread.join()
        self._watches.stop()
        if self._leader is not None:
            self._leader.release()

    def live(self) -> str:
        """What only a restart helps against; empty where nothing is wrong."""
        if self.state == "failed":
            return "failed"
        return "" if self._watches.answers() else "the watches hang"

    def ready(self) -> str:
        """What keeps it from its work. A replica that waits for the Lease is as ready as it can be: a rollout waits for it."""
        return "" if self.state in ("working", "waiting for the Lease") else self.state

    def _start(self) -> None:
        try:
            if self._leader is not None:
                self._tell("waiting for the Lease")
                if not self._leader.acquire():
                    return
            self._tell("waiting for the API server")
            self._controller.start(self._workers)
            if not self._stopping.is_set():
                self._watches.start()
                self._tell("working")
        except Exception:
            logger.exception("the operator could not start")
            self.state = "failed"
            self._ended()

    def _tell(self, state: State) -> None:
        self.state = state
        logger.info("%s", state)
