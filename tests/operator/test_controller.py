"""Which looks at a namespace are allowed to change what it serves."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from modelyard.operator.controller import Controller, Timing
from modelyard.operator.metrics import Metrics
from modelyard.operator.watch_cache import WatchCache


class FakeTenant:
    """Remembers whether it was settled."""

    def __init__(self, unreadable: list[str], plans: dict[Any, Any]) -> None:
        self.settled = 0
        self.resources = SimpleNamespace(served_and_unreadable=lambda: unreadable)
        self.jobs = SimpleNamespace(has_leftovers=False)
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
