"""Names at their limits: no object is shared by mistake, and the deletion of one Model leaves the others whole."""

import json
from typing import Any

import pytest

from harness.cluster import CommandFailedError
from operating import wait_until
from world import World

CUT = 52
"""What is left of a model's name in the names of its versions; the hash follows."""
LONG = "m" * CUT
NAMES = ("bot", "bot-2", "bot-22", f"{LONG}-{'a' * 10}", f"{LONG}-{'a' * 9}b", LONG)
GONE, LEFT = NAMES[0::2], NAMES[1::2]


def whole(world: World, name: str) -> dict[str, Any]:
    """What a model has: its version and the names it answers to, and that all is well with it."""
    status = world.status(name=name)
    versions = [v for v in world.all("modelversions") if v["spec"]["model"] == name]
    return {
        "phase": status.get("phase"),
        "served": status.get("servedNames"),
        "versions": [(v["metadata"]["name"], v["metadata"]["uid"], v["status"]["phase"]) for v in versions],
    }


def test_names_that_are_alike_share_nothing(world: World) -> None:
    world.apply(*(world.model(name) for name in NAMES))
    with world.operator():
        for name in NAMES:
            world.await_phase("Ready", name=name)
        wait_until(lambda: all(len(whole(world, name)["served"] or []) == 3 for name in NAMES), told=lambda: world.all("models"))
        before = {name: whole(world, name) for name in NAMES}
        versions = [version for told in before.values() for version, *_ in told["versions"]]
        trained = [name for name in world.player.started if name.startswith("train")]
        assert len(set(versions)) == len(NAMES) and max(map(len, versions)) <= 63
        assert len(trained) == len(NAMES)
        assert len({served for told in before.values() for served in told["served"]}) == 3 * len(NAMES)

        for name in GONE:
            world.delete(name=name)
        for name in GONE:
            world.await_gone(name=name)
        wait_until(lambda: {v["spec"]["model"] for v in world.all("modelversions")} == set(LEFT), told=lambda: world.all("modelversions"))
        wait_until(lambda: not any(f'"{name}:base"' in served_config(world) for name in GONE), told=lambda: served_config(world))
        assert {name: whole(world, name) for name in LEFT} == {name: before[name] for name in LEFT}
    assert set(world.player.started.values()) == {1}


def served_config(world: World) -> str:
    return json.dumps(world.player.config)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("m" * 64, "63", id="64 characters"),
        pytest.param("m" * 253, "63", id="253 characters, as Kubernetes allows"),
        pytest.param("m" * 254, "253", id="254 characters"),
        pytest.param("böt", "RFC 1123", id="Unicode"),
        pytest.param("机器人", "RFC 1123", id="another script"),
        pytest.param("Bot", "RFC 1123", id="a capital letter"),
        pytest.param("a.bot", "63", id="a dot"),
    ],
)
def test_a_name_that_is_not_usable_is_refused_with_what_is(world: World, name: str, told: str) -> None:
    with pytest.raises(CommandFailedError) as refused:
        world.apply(world.model(name))
    assert told in str(refused.value)
    assert world.all("models") == []
