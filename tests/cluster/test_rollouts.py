"""A new version takes over by steps, on a real API server; what the gateway counts is played."""

import threading
from typing import Any

from operating import wait_until
from world import World

ROLLOUT = {"steps": [10, 50], "interval": "1s", "abortIf": [{"metric": "error_rate", "above": 0.05}]}


def model(world: World, seed: int) -> dict[str, Any]:
    tune = {"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}, "hyperparameters": {"seed": seed}}
    return world.model(fineTune=tune, serving={"rollout": ROLLOUT})


def begin(world: World) -> str:
    """The first version is served, the second one is asked for; the name of the first."""
    world.apply(model(world, 1))
    status = world.await_phase("Ready")
    world.apply(model(world, 2))
    return str(status["activeVersion"])


class Traffic:
    """Requests to whoever takes over, counted as the gateway counts them."""

    def __init__(self, world: World, errors: int) -> None:
        self.world, self.errors = world, errors
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        sent = 0
        while not self._stop.wait(0.1):
            version = (self.world.status().get("rollout") or {}).get("version")
            if version:
                sent += 10
                self.world.player.versions[version] = {"requests": sent, "errors": sent * self.errors // 10}


def ended(world: World, phase: str) -> bool:
    return bool((world.status().get("rollout") or {}).get("phase") == phase)


def test_a_healthy_version_is_promoted(world: World) -> None:
    with world.operator():
        first = begin(world)
        with Traffic(world, errors=0):
            wait_until(lambda: ended(world, "Promoted"), told=world.status)
        status = world.status()
    assert status["activeVersion"] == status["version"] != first
    assert [analysis["weight"] for analysis in status["rollout"]["analyses"]] == [10, 50]


def test_a_version_that_fails_requests_is_taken_back_with_the_reason(world: World) -> None:
    with world.operator():
        first = begin(world)
        with Traffic(world, errors=2):
            wait_until(lambda: ended(world, "RolledBack"), told=world.status)
        wait_until(lambda: world.status()["activeVersion"] == first, told=world.status)
    assert "error_rate 0.2 is above 0.05" in world.status()["rollout"]["message"]
    assert any(event.reason == "RolledBack" and event.type == "Warning" for event in world.events())


def test_a_version_that_scores_worse_never_gets_a_request(world: World) -> None:
    with world.operator():
        world.apply(model(world, 1))
        first = world.await_phase("Ready")["activeVersion"]
        world.player.tuned_score = 0.1
        world.apply(model(world, 2))
        world.await_phase("Rejected")
    assert world.status()["activeVersion"] == first
    assert "rollout" not in world.status()


def test_an_operator_that_is_ended_at_each_step_comes_to_the_same_end(world: World) -> None:
    with world.operator():
        first = begin(world)
    with Traffic(world, errors=0):
        for step in (1, 2):
            with world.operator():
                wait_until(lambda step=step: (world.status().get("rollout") or {}).get("step", 0) >= step, told=world.status)
        with world.operator():
            wait_until(lambda: ended(world, "Promoted"), told=world.status)
    assert world.status()["activeVersion"] != first
    assert set(world.player.started.values()) == {1}


def test_a_rollout_is_held_and_promoted_by_annotations(world: World) -> None:
    with world.operator():
        begin(world)
        wait_until(lambda: (world.status().get("rollout") or {}).get("step") == 1, told=world.status)
        version = world.status()["version"]
        command(world, "pause", version)
        wait_until(lambda: ended(world, "Paused"), told=world.status)
        command(world, "promote", version)
        wait_until(lambda: ended(world, "Promoted"), told=world.status)
    assert world.status()["activeVersion"] == version


def command(world: World, word: str, version: str) -> None:
    annotations = {"modelyard.io/rollout": word, "modelyard.io/rollout-version": version}
    world.objects.patch_namespaced_custom_object(
        "modelyard.io", "v1alpha1", world.namespace, "models", "bot", {"metadata": {"annotations": annotations}}
    )
