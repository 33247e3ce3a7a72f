"""Watches that lie: what they tell comes twice, late, in the wrong order, again, or not at all. The operator is a process.

The life of a model ends the same each time.
"""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.cluster import Cluster
from harness.faults import Action, Answer, DelayEvents, DropEvents, FailEvents, RepeatEvents, ReplayEvents, StallEvents, SwapEvents
from harness.proxy import Proxy
from operating import wait_until
from operator_process import LEAVES_CONNECTIONS, OperatorProcess
from scenarios import edit, has_changed, is_gone, outcome
from world import World

pytestmark = LEAVES_CONNECTIONS

AT_ONCE = 3
RESYNC_S = "5"
"""What a stalled watch costs at most; 120 by default."""

FAULTS: dict[str, Action] = {
    "undisturbed": DelayEvents(0),
    "each event comes three times": RepeatEvents(3),
    "two change places": SwapEvents(),
    "an older version comes again": ReplayEvents(),
    "open, and silent after two events": StallEvents(2),
    "no bookmarks": DropEvents("BOOKMARK"),
    "410 after two events": FailEvents(2),
    "each comes a second late": DelayEvents(1),
    "429 with Retry-After": Answer(429, retry_after_s=1),
}


def live(world: World, proxy: Proxy) -> dict[str, Any]:
    """A model is made, served, edited and deleted."""
    words = ("--verbose", "--resync-s", RESYNC_S)
    with OperatorProcess(proxy.kubeconfig, world.settings, world.folder, *words, gateway_url=world.player.gateway_url) as operator:
        world.apply(world.model())
        wait_until(lambda: world.phase() == "Ready", told=operator.log)
        edit(world)
        wait_until(lambda: has_changed(world), told=operator.log)
        lived = outcome(world)
        world.delete()
        wait_until(lambda: is_gone(world), told=operator.log)
        assert "Traceback" not in operator.log()
    twice = [name for name, count in world.player.started.items() if count > 1]
    return lived | {"jobs made twice": twice, "jobs": Counter(name.partition("-")[0] for name in world.player.started)}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_whatever_the_watches_tell_the_end_is_the_same(cluster: Cluster, new_world: Callable[[], World], capsys: Any) -> None:
    def spoil(action: Action) -> tuple[dict[str, Any], int, int]:
        with Proxy(cluster.control_plane) as proxy:  # type: ignore[arg-type]
            every = 2 if isinstance(action, Answer) else 1
            fault = proxy.inject(action, times=None, every=every, kind="watch")
            return live(new_world(), proxy), fault.fired, proxy.traffic.count(kind="watch")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = dict(zip(FAULTS, pool.map(spoil, FAULTS.values()), strict=True))
    with capsys.disabled():
        for name, (_, fired, watches) in ends.items():
            sys.stdout.write(f"\nwatches, {name}: {fired} of {watches} spoilt, ended the same")
        sys.stdout.write("\n")
    expected, _, _ = ends["undisturbed"]
    assert {name: end for name, (end, _, _) in ends.items() if end != expected} == {}, f"undisturbed: {expected}"
    assert expected["phase"] == "Ready" and expected["jobs made twice"] == []
    assert all(fired for _, fired, _ in ends.values())
