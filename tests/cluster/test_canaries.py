"""A new version that is slow, or scores worse while it serves, is taken back on a real API server, whenever the operator is killed."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mortal import MortalClient
from operating import Operator, wait_until
from world import World

SLOW_BUCKET = 8
"""Between 2.5 and 5 s."""
BUCKETS = 14
RULE = [{"metric": "p95_latency_seconds", "above": 2}]


class Traffic:
    """Ten more requests each moment to whoever takes over, all of the same duration."""

    def __init__(self, world: World, bucket: int) -> None:
        self.world, self.bucket = world, bucket
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
            version = rollout(self.world).get("version")
            if version:
                sent += 10
                latency = [sent if bucket == self.bucket else 0 for bucket in range(BUCKETS)]
                self.world.player.versions[version] = {"requests": sent, "errors": 0, "latency": latency}


def rollout(world: World) -> dict[str, Any]:
    return dict(world.status().get("rollout") or {})


def model(world: World, seed: int, **more: Any) -> dict[str, Any]:
    tune = {"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}, "hyperparameters": {"seed": seed}}
    return world.model(fineTune=tune, serving={"rollout": {"steps": [10, 50], "interval": "1s"} | more})


def begin(world: World, **more: Any) -> str:
    """The first version is served, the second one is asked for; the name of the first."""
    world.apply(model(world, 1, **more))
    status = world.await_phase("Ready")
    world.apply(model(world, 2, **more))
    return str(status["activeVersion"])


def evaluation(world: World) -> dict[str, Any]:
    """What is asked beside the rollout."""
    (world.folder / "live.jsonl").write_text('{"messages": []}\n')
    suite = {"name": "live", "uri": (world.folder / "live.jsonl").as_uri()}
    return {"suites": [suite], "gate": [{"metric": "live.field_score", "atLeast": 0.5}]}


def kill_when(world: World, so: Callable[[], bool]) -> None:
    """Let an operator work until something is so, and end it there without a word."""
    mortal = MortalClient(world.cluster.client(), 0, "before")
    with Operator(mortal, world.settings, world.player.gateway_url):
        wait_until(so, told=world.status)
        mortal.dead = True


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # how a thread ends with its process


def test_a_slow_version_is_taken_back_and_describe_tells_why(world: World) -> None:
    with world.operator():
        first = begin(world, abortIf=RULE)
        with Traffic(world, SLOW_BUCKET):
            wait_until(lambda: rollout(world).get("phase") == "RolledBack", told=world.status)
        wait_until(lambda: world.status()["activeVersion"] == first, told=world.status)
        wait_until(lambda: any(event.reason == "RolledBack" for event in world.events()), told=world.status)
    told = world.cluster.kubectl("describe", "model", "bot", "-n", world.namespace).stdout
    assert "p95_latency_seconds 4.875 is above 2 at 10 %" in told
    assert "Warning" in told.partition("Events:")[2] and "RolledBack" in told.partition("Events:")[2]


@pytest.mark.parametrize("killed_at", [0, 1], ids=["killed while the version is loaded", "killed at the first step"])
def test_a_slow_version_is_taken_back_though_the_operator_is_killed(world: World, killed_at: int) -> None:
    with world.operator():
        first = begin(world, abortIf=RULE)
    kill_when(world, lambda: rollout(world).get("step", -1) >= killed_at)
    with Traffic(world, SLOW_BUCKET), world.operator():
        wait_until(lambda: rollout(world).get("phase") == "RolledBack", told=world.status)
        wait_until(lambda: world.status()["activeVersion"] == first, told=world.status)
    assert set(world.player.started.values()) == {1}


@pytest.mark.parametrize(
    ("score", "phase", "told"),
    [
        pytest.param(0.2, "RolledBack", "live.field_score 0.2", id="it scores worse: taken back"),
        pytest.param(0.8, "Promoted", "held 2 steps", id="it scores well: promoted"),
    ],
)
def test_an_evaluation_beside_the_rollout_decides_though_the_operator_is_killed(world: World, score: float, phase: str, told: str) -> None:
    asked = evaluation(world)
    world.player.suite_scores = {"live": score}
    world.player.held = {"live"}
    with world.operator():
        first = begin(world, evaluation=asked)
    kill_when(world, lambda: rollout(world).get("step") == 1 and "evaluate" in world.live_jobs())
    world.player.held = set()
    with world.operator():
        wait_until(lambda: rollout(world).get("phase") == phase, told=world.status)
        wait_until(lambda: (world.status()["activeVersion"] == first) is (phase == "RolledBack"), told=world.status)
    assert told in rollout(world)["message"]
    assert set(world.player.started.values()) == {1}, "each job once"
