"""Somebody edits or deletes what the operator made: it is put back, or taken as it is, on a real API server.

The serving side and deleted jobs are in test_operator.
"""

from typing import Any

import pytest
import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from modelyard.operator.cluster_settings import ClusterSettings
from operating import Operator, wait_until
from world import GROUP, World

RAY = ("ray.io", "v1")
STANDS_ON = ("serviceaccount/modelyard-jobs", "persistentvolumeclaim/yard", "networkpolicy/modelyard", "networkpolicy/modelyard-jobs")


def operator(world: World) -> Operator:
    """With everything that a namespace may have."""
    more = {"network": {}, "volumeClaim": {"name": "yard", "mountPath": "/yard", "size": "1Gi"}}
    settings = ClusterSettings.model_validate(world.settings.wire() | more)
    return Operator(world.cluster.client(), settings, world.player.gateway_url)


def kubectl(world: World, *words: str) -> str:
    done = world.cluster.kubectl(*words, "-n", world.namespace)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(world: World, name: str) -> dict[str, Any]:
    """What somebody may change of an object; empty where it is not there."""
    done = world.cluster.kubectl("get", name, "-n", world.namespace, "-o", "yaml")
    if done.returncode:
        return {}
    document = yaml.safe_load(done.stdout)
    return {field: document.get(field) for field in ("spec", "automountServiceAccountToken", "imagePullSecrets")} | {
        "labels": document["metadata"].get("labels")
    }


def test_what_pods_stand_on_is_put_back_when_the_operator_starts(world: World) -> None:
    world.apply(world.model())
    with operator(world):
        world.await_phase("Ready")
    as_made = {name: read(world, name) for name in STANDS_ON}
    assert all(as_made.values())

    kubectl(world, "patch", "serviceaccount/modelyard-jobs", "-p", '{"automountServiceAccountToken": true}')
    kubectl(world, "patch", "networkpolicy/modelyard", "--type=merge", "-p", '{"spec": {"ingress": [{}]}}')
    kubectl(world, "patch", "networkpolicy/modelyard-jobs", "--type=merge", "-p", '{"spec": {"egress": [{}]}}')
    kubectl(world, "label", "persistentvolumeclaim/yard", "app.kubernetes.io/managed-by-", "--overwrite")
    with operator(world):
        wait_until(lambda: {name: read(world, name) for name in STANDS_ON} == as_made, told=lambda: [read(world, n) for n in STANDS_ON])

    for name in STANDS_ON:
        kubectl(world, "delete", name, "--wait=true")
    with operator(world):
        wait_until(lambda: all(read(world, name) for name in STANDS_ON))
        fenced = {name: read(world, name) for name in STANDS_ON if "networkpolicy" in name}
        assert fenced == {name: as_made[name] for name in fenced}
        world.await_phase("Ready")


def test_a_claim_that_cannot_be_as_asked_for_holds_nothing_up(world: World) -> None:
    world.apply(world.model())
    core = client.CoreV1Api(world.cluster.client())
    spec = client.V1PersistentVolumeClaimSpec(
        access_modes=["ReadWriteOnce"], resources=client.V1VolumeResourceRequirements(requests={"storage": "5Gi"})
    )
    core.create_namespaced_persistent_volume_claim(
        world.namespace, client.V1PersistentVolumeClaim(metadata=client.V1ObjectMeta(name="yard"), spec=spec)
    )
    with operator(world):
        world.await_phase("Ready")
    assert core.read_namespaced_persistent_volume_claim("yard", world.namespace).spec.resources.requests == {"storage": "5Gi"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"spec": {"suspend": True}}, id="suspended by hand"),
        pytest.param({"metadata": {"annotations": {"modelyard.io/attempt": None}}}, id="no longer tells its attempt"),
    ],
)
def test_a_job_that_somebody_edits_is_made_anew_and_is_no_new_attempt(world: World, changes: dict[str, Any]) -> None:
    world.player.held = {"train"}
    world.apply(world.model())
    with operator(world):
        wait_until(lambda: "train" in world.live_jobs(), told=world.status)
        (job,) = [job for job in world.player.jobs() if job["metadata"]["name"].startswith("train")]
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        world.objects.patch_namespaced_custom_object(*RAY, world.namespace, "rayjobs", name, changes)
        wait_until(lambda: [j["metadata"]["uid"] for j in world.player.jobs() if j["metadata"]["name"] == name] not in ([], [uid]))
        world.player.held = set()
        world.await_phase("Ready")
    assert all(job["metadata"]["annotations"]["modelyard.io/attempt"] == "1" for job in world.player.jobs())


def test_a_job_of_somebody_else_stays(world: World) -> None:
    world.apply(world.model())
    with operator(world):
        world.await_phase("Ready")
        (job, *_) = world.player.jobs()
        spec = {"entrypoint": "true", "suspend": True, "rayClusterSpec": job["spec"]["rayClusterSpec"]}
        theirs = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "theirs"}, "spec": spec}
        world.player.__exit__()  # it plays our jobs only
        world.objects.create_namespaced_custom_object(*RAY, world.namespace, "rayjobs", theirs)
        world.delete()
        wait_until(lambda: world.get() is None and world.ray_services() == [], told=world.status)
    assert "theirs" in [job["metadata"]["name"] for job in world.player.jobs() if "deletionTimestamp" not in job["metadata"]]


def test_a_version_that_somebody_deletes_or_edits_comes_back_without_another_job(world: World) -> None:
    world.apply(world.model())
    with operator(world):
        world.await_phase("Ready")
        (version,) = world.all("modelversions")
        name, uid = version["metadata"]["name"], version["metadata"]["uid"]
        world.objects.delete_namespaced_custom_object(*GROUP, world.namespace, "modelversions", name)
        wait_until(lambda: (world.get("modelversions", name) or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid)
        wait_until(lambda: world.phase("modelversions", name) == "Passed" and world.phase() == "Ready", told=world.status)
        world.objects.patch_namespaced_custom_object_status(
            *GROUP, world.namespace, "modelversions", name, {"status": {"phase": "Rejected", "message": "by hand"}}
        )
        wait_until(lambda: world.phase("modelversions", name) == "Passed", told=lambda: world.get("modelversions", name))
        with pytest.raises(ApiException) as refused:
            world.objects.patch_namespaced_custom_object(*GROUP, world.namespace, "modelversions", name, {"spec": {"revision": 7}})
        assert refused.value.status == 422
        world.await_phase("Ready")
    assert set(world.player.started.values()) == {1}
