"""What a user does, how it has to end, and what must be the same however it got there."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from world import World


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
    """What must be the same whatever went wrong."""
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
