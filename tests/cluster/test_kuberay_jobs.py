"""Our objects with KubeRay's own operator: it takes them up, suspends them and lets them go. Its pods stay pending: there is no node."""

from pathlib import Path
from typing import Any

import pytest

from harness.cluster import Cluster
from operating import Operator, build_settings, wait_until
from world import World

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def world(kuberay: Cluster, crds: None, namespace: str, tmp_path: Path) -> World:
    return World(kuberay, namespace, tmp_path, None)  # type: ignore[arg-type]


def rays(world: World, plural: str) -> list[dict[str, Any]]:
    return list(world.objects.list_namespaced_custom_object("ray.io", "v1", world.namespace, plural)["items"])


def deployment(world: World) -> str:
    return str(((rays(world, "rayjobs") or [{}])[0].get("status") or {}).get("jobDeploymentStatus", ""))


@pytest.mark.timeout(300)
def test_kuberay_takes_our_job_up_suspends_it_and_lets_it_go(world: World) -> None:
    world.apply(world.model())
    with Operator(world.cluster.client(), build_settings(world.folder, world.namespace), NOBODY):
        wait_until(lambda: deployment(world) == "Initializing", told=lambda: rays(world, "rayjobs"))
        wait_until(lambda: len(rays(world, "rayclusters")) == 1, told=lambda: rays(world, "rayclusters"))
        (job,) = rays(world, "rayjobs")
        assert job["status"]["rayClusterName"] == rays(world, "rayclusters")[0]["metadata"]["name"]
        assert world.phase() == "Fetching"

        world.apply(world.model(suspend=True))
        wait_until(lambda: deployment(world) == "Suspended", told=lambda: rays(world, "rayjobs"))
        wait_until(lambda: rays(world, "rayclusters") == [], told=lambda: rays(world, "rayclusters"))
        assert world.condition("Ready")["reason"] == "Suspended"

        world.apply(world.model(suspend=False))
        wait_until(lambda: deployment(world) == "Initializing", told=lambda: rays(world, "rayjobs"))
        assert rays(world, "rayjobs")[0]["metadata"]["uid"] != job["metadata"]["uid"]

        world.delete()
        world.await_gone()
        wait_until(lambda: rays(world, "rayjobs") == [] and rays(world, "rayclusters") == [], told=lambda: rays(world, "rayjobs"))
