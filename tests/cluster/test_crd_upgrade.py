"""The definitions are upgraded under objects of an older one, while the operator runs and while it does not."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster import Cluster
from operating import wait_until
from world import CRDS, World

MODELS: Path = CRDS / "models.yaml"


def older(document: dict[str, Any]) -> dict[str, Any]:
    """The definition of Models as an older operator would have made it.

    `suspend` and `retention` are not there yet, and so is no rule that names them; `epochs` has another default; `warmStart` is
    a field that is gone since, and `zeroStage: 4` a value.
    """
    crd = copy.deepcopy(document)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for field in ("suspend", "retention"):
        del spec["properties"][field]
    rules = spec.get("x-kubernetes-validations", [])
    spec["x-kubernetes-validations"] = [rule for rule in rules if "suspend" not in rule["rule"] and "retention" not in rule["rule"]]
    tune = spec["properties"]["fineTune"]
    tune["properties"]["warmStart"] = {"type": "string"}
    knobs = tune["properties"]["hyperparameters"]
    knobs["properties"]["epochs"]["default"] = 1
    if "epochs" in knobs.get("default", {}):
        knobs["default"]["epochs"] = 1
    tune["properties"]["deepspeed"]["properties"]["zeroStage"]["enum"].append(4)
    return crd


@pytest.fixture
def old_crd(cluster: Cluster, crds: None) -> Iterator[None]:
    """The older definition, until the test upgrades it or ends."""
    cluster.apply_crds([yaml.safe_dump(older(yaml.safe_load(MODELS.read_text())))])
    yield
    upgrade(cluster)


def upgrade(cluster: Cluster) -> None:
    cluster.apply_crds([MODELS.read_text()])


def tuned(world: World, **more: Any) -> dict[str, Any]:
    return {"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}} | more


def is_refused(world: World, name: str, field: str) -> bool:
    ready = world.condition("Ready", name=name)
    return ready.get("reason") == "InvalidSpec" and field in ready["message"]


def is_served(world: World, name: str) -> bool:
    return f"'{name}:base'" in str(world.player.config) and bool(world.status(name=name).get("servedNames"))


@pytest.mark.parametrize("running", [True, False], ids=["while the operator runs", "while the operator does not run"])
def test_old_objects_are_served_on_or_told_and_new_ones_work(old_crd: None, world: World, running: bool) -> None:
    world.apply(world.model("kept"), world.model("served"), world.model("invalid", fineTune=tuned(world, deepspeed={"zeroStage": 4})))
    with world.operator():
        kept, _ = world.await_phase("Ready", name="kept"), world.await_phase("Ready", name="served")
        wait_until(lambda: is_served(world, "kept") and is_served(world, "served"), told=lambda: world.all("models"))
        world.apply(world.model("served", fineTune=tuned(world, warmStart="a field that is gone since")))
        wait_until(lambda: is_refused(world, "served", "warmStart"), told=lambda: world.status(name="served"))
        wait_until(lambda: is_refused(world, "invalid", "zeroStage"), told=lambda: world.status(name="invalid"))
        assert is_served(world, "served") and is_served(world, "kept")
        if running:
            upgrade(world.cluster)
            is_as_it_should_be(world, kept)
    if not running:
        upgrade(world.cluster)
        with world.operator():
            is_as_it_should_be(world, kept)
    assert set(world.player.started.values()) == {1}


def is_as_it_should_be(world: World, kept: dict[str, Any]) -> None:
    """After the upgrade: what was served is, of the same version; what is not understood says so until it is corrected."""
    look_again(world, "served")
    wait_until(lambda: world.phase(name="served") == "Ready", told=lambda: world.status(name="served"))
    assert world.status(name="kept")["version"] == kept["version"] and is_served(world, "kept") and is_served(world, "served")
    assert (world.get(name="kept") or {})["spec"]["fineTune"]["hyperparameters"]["epochs"] == 1, "a default is stored with the object"
    assert (world.get(name="kept") or {})["spec"]["suspend"] is False, "a new field has its default"
    look_again(world, "invalid")
    wait_until(lambda: is_refused(world, "invalid", "zeroStage"), told=lambda: world.status(name="invalid"))
    world.apply(world.model("invalid", fineTune=tuned(world, deepspeed={"zeroStage": 2})), world.model("new", suspend=False))
    for name in ("invalid", "new"):
        wait_until(lambda name=name: world.phase(name=name) == "Ready", told=lambda name=name: world.status(name=name))
    assert (world.get(name="new") or {})["spec"]["fineTune"]["hyperparameters"]["epochs"] == 3


def look_again(world: World, name: str) -> None:
    """A person touches it, as an upgrade of whatever applies it does."""
    document = world.get(name=name) or {}
    count = int((document["metadata"].get("annotations") or {}).get("touched", "0")) + 1
    body = {"metadata": {"annotations": {"touched": str(count)}}}
    world.objects.patch_namespaced_custom_object("modelyard.io", "v1alpha1", world.namespace, "models", name, body)
