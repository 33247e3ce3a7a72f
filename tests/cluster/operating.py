"""An operator in this process, for tests that end it at will. It lists again and again instead of watching."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from kubernetes import client
from prometheus_client import CollectorRegistry

from modelyard.operator.__main__ import build_controller
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.controller import Controller, Timing
from modelyard.operator.kubernetes import RetryLaterError
from modelyard.operator.metrics import Metrics
from modelyard.operator.server_clock import ServerClock

QUICK = Timing(
    resync_s=3600,
    running_s=0.2,
    queued_s=0.2,
    deploying_s=0.05,
    rollout_s=0.1,
    calm_s=0.2,
    settle_s=0.02,
    first_backoff_s=0.02,
    last_backoff_s=0.2,
)
LIST_S = 0.05
TICK_S = 0.05


def build_settings(folder: Path, namespace: str) -> ClusterSettings:
    """One namespace, everything on the local disk."""
    return ClusterSettings.model_validate(
        {
            "image": "modelyard:test",
            "rayVersion": "2.60.0",
            "storeUri": (folder / "store").as_uri(),
            "runsUri": (folder / "runs").as_uri(),
            "milvusUri": "http://127.0.0.1:1",
            "profiles": {"cpu": {"limits": {"cpu": "2", "memory": "8Gi"}, "rayResources": {"CPU": 2}, "memoryGib": 8}},
            "defaultProfile": "cpu",
            "namespaces": [namespace],
        }
    )


class Operator:
    """A controller and what feeds it."""

    def __init__(
        self, api: client.ApiClient, settings: ClusterSettings, gateway_url: str, workers: int = 2, clock: ServerClock | None = None
    ) -> None:
        self.controller: Controller = build_controller(settings, api, Metrics(CollectorRegistry()), gateway_url, QUICK, clock)
        self.workers = workers
        self._stop = threading.Event()
        self._feeder = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> "Operator":
        self.controller.start(self.workers)
        self._feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._feeder.join()
        self.controller.stop()

    def has_looked_at(self, keys: list[tuple[str, str, str]]) -> bool:
        """Have some keys looked at once more, now; True when that is done."""
        for key in keys:
            self.controller.queue.add(key)
        wait_until(lambda: self.controller.queue.pending() == 0)
        return True

    def _feed(self) -> None:
        while not self._stop.wait(LIST_S):
            try:
                self.controller.list_everything()
            except RetryLaterError:
                continue


def wait_until(what: Callable[[], bool], timeout_s: float = 120.0, told: Callable[[], object] = lambda: "") -> None:
    """Return once it is so; an AssertionError with what is told when the time is over. Long: a busy machine is no failure."""
    event = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {timeout_s:.0f} s: {told()}")
        event.wait(TICK_S)
