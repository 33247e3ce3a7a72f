"""The operator's clock is minutes off, jumps, or is another one after a restart: nothing is early, and nothing waits for it."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelyard.operator.kubernetes_lease import KubernetesLease
from modelyard.operator.leader import Hold, Leader, LeaseTiming, LeaseUnreachableError
from modelyard.operator.server_clock import ServerClock
from operating import Operator, wait_until
from world import World

APART_S = 1200.0
SKEWS = [pytest.param(APART_S, id="ahead"), pytest.param(-APART_S, id="behind")]
BACKOFF_S = 5.0
"""After a first failure."""


def skewed(world: World, by_s: float | Callable[[], float], **changes: Any) -> Operator:
    """An operator on a machine whose clock is apart from the API server's."""
    apart = by_s if callable(by_s) else lambda: by_s
    settings = world.settings.model_copy(update=changes)
    clock = ServerClock(wall=lambda: time.time() + apart())
    return Operator(world.cluster.client(), settings, world.player.gateway_url, clock=clock)


def model(world: World, seed: int, interval: str) -> dict[str, Any]:
    tune = {"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}, "hyperparameters": {"seed": seed}}
    return world.model(fineTune=tune, serving={"rollout": {"steps": [10, 50], "interval": interval}})


def begin(world: World, interval: str) -> None:
    """A rollout is at its first step, begun by an operator whose clock is right."""
    with world.operator():
        world.apply(model(world, 1, interval))
        world.await_phase("Ready")
        world.apply(model(world, 2, interval))
        wait_until(lambda: rollout(world).get("step") == 1, told=world.status)


def rollout(world: World) -> dict[str, Any]:
    return dict(world.status().get("rollout") or {})


@pytest.mark.parametrize("by_s", SKEWS)
def test_a_step_of_a_rollout_is_as_long_for_the_next_operator(world: World, by_s: float) -> None:
    begin(world, "10m")
    before = rollout(world)
    with skewed(world, by_s) as operator:
        for _ in range(3):
            wait_until(lambda: operator.has_looked_at([("Model", world.namespace, "bot")]))
        assert rollout(world) == before
    assert abs((datetime.now(UTC) - datetime.fromisoformat(before["since"])).total_seconds()) < APART_S / 4


def test_a_clock_that_jumps_back_and_forth_holds_no_rollout_up(world: World) -> None:
    begin(world, "1s")
    with skewed(world, lambda: APART_S if int(time.monotonic() * 5) % 2 else -APART_S):
        wait_until(lambda: rollout(world).get("phase") == "Promoted", 60, told=world.status)
    assert [analysis["weight"] for analysis in rollout(world)["analyses"]] == [10, 50]


@pytest.mark.parametrize("by_s", SKEWS)
def test_another_attempt_is_neither_early_nor_late(world: World, by_s: float) -> None:
    world.player.failures = {"train": [("a worker was lost", True)]}
    world.apply(world.model())
    with world.operator():
        wait_until(lambda: world.condition("Trained").get("reason") == "Retrying", told=world.status)
        failed_at = time.monotonic()
        (job,) = [job["metadata"]["name"] for job in world.player.jobs() if job["metadata"]["name"].startswith("train")]
    with skewed(world, by_s):
        wait_until(lambda: world.player.started[job] == 2, 60, told=world.status)
        waited_s = time.monotonic() - failed_at
        world.await_phase("Ready")
    assert waited_s > BACKOFF_S - 2


def test_an_attempt_that_ended_by_a_clock_far_ahead_is_tried_again(world: World) -> None:
    world.player.failures = {"train": [("a worker was lost", True)]}
    world.apply(world.model())
    with world.operator():
        wait_until(lambda: world.condition("Trained").get("reason") == "Retrying", told=world.status)
    (attempt,) = (world.folder / "runs" / world.namespace).glob("train-*/attempt.json")
    told = json.loads(attempt.read_text())
    attempt.write_text(json.dumps(told | {"ended_at": told["ended_at"] + APART_S}))
    with world.operator():
        wait_until(lambda: world.phase() == "Ready", 60, told=world.status)


def test_the_patience_of_a_deletion_is_neither_short_nor_endless(world: World) -> None:
    world.apply(world.knowledge_base())
    with world.operator():
        world.await_phase("Ready", "knowledgebases", "docs")
    world.delete("knowledgebases", "docs")
    with skewed(world, APART_S, cleanup_patience_s=APART_S / 2):
        wait_until(lambda: any(event.reason == "RemoveIndex" for event in world.events()), told=world.events)
    assert world.get("knowledgebases", "docs") is not None, "its index is not removed yet"
    with skewed(world, -APART_S, cleanup_patience_s=0):
        world.await_gone("knowledgebases", "docs")


class OwnLease(KubernetesLease):
    """A candidate's view of the Lease, with a clock of its own, until it is cut off."""

    cut = False

    def read(self) -> Hold | None:
        if self.cut:
            raise LeaseUnreachableError("cut off")
        return super().read()

    def write(self, hold: Hold, before: Hold | None) -> Hold | None:
        if self.cut:
            raise LeaseUnreachableError("cut off")
        return super().write(hold, before)


@pytest.mark.parametrize("by_s", SKEWS)
def test_of_two_candidates_with_clocks_apart_one_leads(world: World, by_s: float) -> None:
    timing = LeaseTiming(lease_s=4, renew_s=2, retry_s=0.2)
    lost, got = threading.Event(), threading.Event()
    times: dict[str, float] = {}

    def lose() -> None:
        times["lost"] = time.monotonic()
        lost.set()

    own = OwnLease(world.cluster.client(), world.namespace)
    other = OwnLease(world.cluster.client(), world.namespace, lambda: datetime.now(UTC) + timedelta(seconds=by_s))
    leader = Leader(own, "leader", timing, lose)
    follower = Leader(other, "follower", timing, lost=lambda: None, clock=lambda: time.monotonic() + by_s)

    def follow() -> None:
        if follower.acquire():
            times["got"] = time.monotonic()
            got.set()

    assert leader.acquire()
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        assert not got.wait(timing.lease_s + 2), "the first one renews"
        own.cut = True
        assert lost.wait(30) and got.wait(30)
    finally:
        leader.release()
        follower.release()
        thread.join()
    assert times["lost"] < times["got"] < times["lost"] + timing.lease_s + 10
