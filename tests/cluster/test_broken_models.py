"""Ten broken Models, each with another cause, and what `kubectl describe` says of each."""

from typing import Any

from kubernetes import client

from operating import wait_until
from world import World

IMAGE = "ghcr.io/example/yard:1"


def container(state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "phase": "Pending" if "waiting" in state else "Running",
        "containerStatuses": [
            {
                "name": "ray-head",
                "image": IMAGE,
                "imageID": "",
                "ready": False,
                "restartCount": 1 if last else 0,
                "state": state,
                "lastState": last or {},
            }
        ],
    }


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


OOM = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
PODS = {
    "image": (container({"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{IMAGE}"'}}), "ImagePull"),
    "memory": (container({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, OOM), "OutOfMemory"),
    "gpu": (unschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."), "nvidia.com/gpu"),
    "cpu": (unschedulable("0/3 nodes are available: 3 Insufficient cpu."), "cpu"),
    "secret": (
        container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "hub-token" not found'}}),
        "hub-token",
    ),
    "key": (
        container({"waiting": {"reason": "CreateContainerConfigError", "message": "couldn't find key token in Secret team/hub"}}),
        "token",
    ),
}
"""Model → the status of its head pod, and what has to be told."""


def test_ten_broken_models_are_described_by_ten_true_causes(world: World) -> None:
    world.player.left_alone = set(PODS)
    for name in PODS:
        world.apply(world.model(name, source={"uri": f"package://{name}/w.gguf"}))
    missing = {"dataset": {"uri": (world.folder / "nowhere.jsonl").as_uri()}}
    suites = [{"name": "records", "uri": (world.folder / "no-rows.jsonl").as_uri()}]
    world.apply(world.model("dataset", fineTune=missing))
    world.apply(world.model("suite", evaluation={"suites": suites}))
    world.apply(
        world.model("gate", evaluation=world.model()["spec"]["evaluation"] | {"gate": [{"metric": "records.field_score", "atLeast": 2}]})
    )
    world.player.failures = {"train/masked": [("every answer is cut off; raise maxLength", False)]}
    world.apply(world.model("masked", fineTune=world.model()["spec"]["fineTune"] | {"maxFailures": 0}))
    told = {name: words for name, (_, words) in PODS.items()} | {
        "dataset": "nowhere.jsonl",
        "suite": "no-rows.jsonl",
        "gate": "at least 2",
        "masked": "raise maxLength",
    }
    with world.operator():
        wait_until(lambda: len(world.player.alone) == len(PODS), told=lambda: world.player.alone)
        for model, job in world.player.alone.items():
            place_pod(world, job, PODS[model][0])
        for name, words in told.items():
            wait_until(lambda name=name, words=words: words in describe(world, name), told=lambda name=name: describe(world, name))
    assert len(told) == 10


def describe(world: World, name: str) -> str:
    done = world.cluster.kubectl("describe", "model", name, "-n", world.namespace)
    return done.stdout.partition("Status:")[2]


def place_pod(world: World, job: dict[str, Any], status: dict[str, Any]) -> None:
    """The RayCluster and its head, as KubeRay would make them, in the state that a kubelet would tell."""
    name = f"{job['metadata']['name']}-x"
    owner = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    spec = job["spec"]["rayClusterSpec"]
    cluster = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": name, "ownerReferences": [owner]}, "spec": spec}
    world.objects.create_namespaced_custom_object("ray.io", "v1", world.namespace, "rayclusters", cluster)
    labels = {"ray.io/cluster": name, "ray.io/node-type": "head"}
    pod = {
        "metadata": {"name": f"{name}-head", "labels": labels},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "ray-head", "image": IMAGE}]},
    }
    world.core.create_namespaced_pod(world.namespace, client.ApiClient().sanitize_for_serialization(pod))
    world.core.patch_namespaced_pod_status(f"{name}-head", world.namespace, {"status": status})
    state = {"status": {"jobDeploymentStatus": "Initializing", "rayClusterName": name}}
    world.objects.patch_namespaced_custom_object_status("ray.io", "v1", world.namespace, "rayjobs", job["metadata"]["name"], state)
