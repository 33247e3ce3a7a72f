"""Which looks at a namespace are allowed to change what it serves."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from modelyard.operator.controller import WATCHED, Controller, Timing
from modelyard.operator.metrics import Metrics
from modelyard.operator.watch_cache import WatchCache


class FakeTenant:
    """Remembers whether it was settled."""

    def __init__(self, unreadable: list[str], plans: dict[Any, Any]) -> None:
        self.settled = 0
        self.resources = SimpleNamespace(served_and_unreadable=lambda: unreadable)
        self.jobs = SimpleNamespace(has_leftovers=False, has_succeeded=False)
        self.support = SimpleNamespace(ensure=lambda: None)
        self.serving = SimpleNamespace(refresh=frozenset, observe=lambda: None, complete=True)
        self.reconciler = SimpleNamespace(plans=plans, settle=self._settle)

    def _settle(self, seen: Any) -> None:
        self.settled += 1


@pytest.mark.parametrize(
    ("unreadable", "settled"),
    [
        pytest.param([], 1, id="everything is understood"),
        pytest.param(["bot"], 0, id="something that is served is not understood, after an upgrade: nothing is taken down"),
    ],
)
@pytest.mark.parametrize("plans", [{}, {("Model", "team", "pal"): SimpleNamespace(routes=(), knowledge_bases=())}])
def test_a_namespace_is_settled_only_if_all_that_it_serves_is_understood(unreadable: list[str], settled: int, plans: Any) -> None:
    tenant = FakeTenant(unreadable, plans)
    controller = Controller(None, WatchCache(), lambda namespace: tenant, Metrics(CollectorRegistry()), [], Timing())  # type: ignore[arg-type, return-value]
    controller._look_at(("", "team", ""))
    assert tenant.settled == settled


class FakeApi:
    """Lists nothing, and remembers how often it was asked."""

    def __init__(self) -> None:
        self.listed = 0

    def list_at(self, kind: str, namespace: str | None) -> tuple[list[Any], int]:
        self.listed += 1
        return [], 1


def test_all_is_listed_once_more_soon_after_the_start_since_the_watches_begin_later() -> None:
    api = FakeApi()
    timing = Timing(watched_s=0.01, resync_s=3600)
    controller = Controller(api, WatchCache(), lambda namespace: None, Metrics(CollectorRegistry()), [], timing)  # type: ignore[arg-type, return-value]
    controller.start(1)
    until = time.monotonic() + 10
    while api.listed < 2 * len(WATCHED) and time.monotonic() < until:
        threading.Event().wait(0.01)
    controller.stop()
    assert api.listed == 2 * len(WATCHED)
