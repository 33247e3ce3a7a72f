"""The operator ends before, or right after, every single write of every scenario; another one takes over and ends the same.

A crash matrix: exhaustive, and counted.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest

from harness.cluster import Cluster
from operating import Operator, wait_until
from players import RayPlayer
from world import World

AT_ONCE = 4
READS = ("GET", "HEAD")
Moment = Literal["before", "after"]


class Crash(SystemExit):
    """The end of the process, as far as its threads can tell."""


class MortalClient:
    """An API client that dies at its n-th write, and with it all who use it."""

    def __init__(self, client: Any, nth: int, moment: Moment) -> None:
        self._client, self._nth, self._moment = client, nth, moment
        self.writes = 0
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def call_api(self, method: str, *rest: Any, **more: Any) -> Any:
        if self.dead:
            raise Crash
        if method in READS:
            return self._client.call_api(method, *rest, **more)
        self.writes += 1
        dies = self.writes == self._nth
        self.dead = self.dead or dies
        if dies and self._moment == "before":
            raise Crash
        answer = self._client.call_api(method, *rest, **more)
        if dies:
            answer.read()
            raise Crash
        return answer


class Scenario:
    """What a user does, and how it has to end."""

    def __init__(self, prepare: Callable[[World], None], act: Callable[[World], None], ended: Callable[[World], bool]) -> None:
        """prepare: done by an operator that does not end. act: what is looked at."""
        self.prepare, self.act, self.ended = prepare, act, ended


def nothing(world: World) -> None:
    return


def has_changed(world: World) -> bool:
    """The second version has taken over."""
    status = world.status()
    return status.get("observedGeneration") == 2 and status.get("phase") == "Ready" and status["version"] == status["activeVersion"]


def edit(world: World) -> None:
    world.apply(world.model(fineTune={"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}, "hyperparameters": {"seed": 1}}))


def be_ready(world: World) -> None:
    world.apply(world.model())
    with world.operator():
        world.await_phase("Ready")


def is_gone(world: World) -> bool:
    return world.get() is None and world.all("modelversions") == [] and world.ray_services() == [] and world.live_jobs() == []


def be_rejected(world: World) -> None:
    world.player.tuned_score = 0.1
    world.apply(world.model())


SCENARIOS = {
    "a model becomes ready": Scenario(nothing, lambda world: world.apply(world.model()), lambda world: world.phase() == "Ready"),
    "a model is rejected": Scenario(nothing, be_rejected, lambda world: world.phase() == "Rejected"),
    "a model is edited": Scenario(be_ready, edit, has_changed),
    "a model is deleted": Scenario(be_ready, lambda world: world.delete(), is_gone),
}


def outcome(world: World) -> dict[str, Any]:
    """What must be the same whenever the operator ended."""
    status = world.status()
    return {
        "phase": status.get("phase"),
        "conditions": sorted((c["type"], c["status"], c["reason"]) for c in status.get("conditions") or []),
        "served": len(status.get("servedNames") or []),
        "versions": sorted(version["status"]["phase"] for version in world.all("modelversions")),
        "jobs": Counter(name.partition("-")[0] for name in world.player.started),
        "jobs made twice": sorted(name for name, count in world.player.started.items() if count > 1),
        "services": len(world.ray_services()),
    }


@pytest.fixture
def new_world(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[], World]]:
    players: list[tuple[RayPlayer, str]] = []

    def make() -> World:
        namespace = cluster.namespace("crash")
        player = RayPlayer(cluster.client(), namespace)
        player.__enter__()
        players.append((player, namespace))
        folder = tmp_path / namespace
        folder.mkdir()
        return World(cluster, namespace, folder, player)

    yield make
    for player, namespace in players:
        player.__exit__()
        cluster.delete_namespace(namespace)


def run(world: World, scenario: Scenario, nth: int, moment: Moment) -> tuple[dict[str, Any], MortalClient]:
    """One scenario with one crash (or none, if there are fewer writes): its outcome, and the client of the operator that dies."""
    scenario.prepare(world)
    mortal = MortalClient(world.cluster.client(), nth, moment)
    scenario.act(world)
    with Operator(mortal, world.settings, world.player.gateway_url, workers=1):  # type: ignore[arg-type]
        wait_until(lambda: mortal.dead or scenario.ended(world), told=world.status)
    if mortal.dead:
        with world.operator():
            wait_until(lambda: scenario.ended(world), told=lambda: (nth, moment, world.status(), world.player.jobs()))
    world.player.__exit__()
    return outcome(world), mortal


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is how a thread ends with its process
@pytest.mark.parametrize("name", SCENARIOS)
def test_whenever_the_operator_ends_the_next_one_ends_the_same(crds: None, new_world: Callable[[], World], name: str, capsys: Any) -> None:
    scenario = SCENARIOS[name]
    expected, _ = run(new_world(), scenario, 0, "before")
    crashes = nth = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            points: list[tuple[int, Moment]] = [(nth + more, moment) for more in range(1, AT_ONCE + 1) for moment in ("before", "after")]
            ends = list(pool.map(lambda point: run(new_world(), scenario, *point), points))
            different = {point: got for point, (got, _) in zip(points, ends, strict=True) if got != expected}
            assert different == {}, f"undisturbed: {expected}"
            died = sum(mortal.dead for _, mortal in ends)
            crashes, nth = crashes + died, nth + AT_ONCE
            if not died:  # no write is left to crash at
                break
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {crashes} crashes, each ended the same\n")
    assert crashes >= 8
