"""What the operator may do is what it does: with the committed Role only, through its objects' whole life."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster import Cluster
from harness.proxy import Proxy
from modelyard.operator.cluster_settings import ClusterSettings
from operating import wait_until
from operator_process import LEAVES_CONNECTIONS, OperatorProcess
from players import RayPlayer
from webhook import Webhook
from world import CRDS, World

pytestmark = LEAVES_CONNECTIONS

RBAC = CRDS.parent / "rbac"
Right = tuple[str, str, str]
"""Verb, group, resource with its subresource."""

UNSEEN: dict[Right, str] = {
    **{
        ("create", group, resource): "a server-side apply is a patch to the eye; the API server asks for create where nothing is yet"
        for group, resource in (
            ("ray.io", "rayjobs"),
            ("ray.io", "rayservices"),
            ("", "serviceaccounts"),
            ("", "persistentvolumeclaims"),
            ("networking.k8s.io", "networkpolicies"),
        )
    },
    **{
        ("update", "modelyard.io", f"{kind}/finalizers"): "asked for by OwnerReferencesPermissionEnforcement, which is off by default"
        for kind in ("models", "evaluations", "knowledgebases")
    },
}
"""Rights that no request shows, and why they are needed."""


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((RBAC / name).read_text()))


def rights(role: dict[str, Any]) -> set[Right]:
    return {
        (verb, group, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def used(proxy: Proxy) -> set[Right]:
    calls = [call for call in proxy.traffic.calls() if call.resource]
    return {(call.verb, call.group, f"{call.resource}/{call.subresource}" if call.subresource else call.resource) for call in calls}


def test_the_role_and_the_cluster_role_have_the_same_rules() -> None:
    assert read("role.yaml")["rules"] == read("cluster-role.yaml")["rules"]


def test_no_right_is_a_wildcard_and_none_touches_secrets_or_roles() -> None:
    granted = rights(read("cluster-role.yaml")) | rights(read("lease-role.yaml"))
    assert not [right for right in granted if "*" in right]
    assert not {resource for _, _, resource in granted} & {"secrets", "roles", "rolebindings", "clusterroles", "clusterrolebindings"}
    assert not [right for right in granted if right[0] in ("escalate", "bind", "impersonate")]


@pytest.fixture
def world(cluster: Cluster, crds: None, namespace: str, tmp_path: Path) -> World:
    """Nobody plays yet: the first job has to wait until its causes are looked for."""
    return World(cluster, namespace, tmp_path, RayPlayer(cluster.client(), namespace))


@pytest.fixture(params=["namespaced", "cluster"])
def account(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Bind the committed roles to the committed account, and to nothing else; gives the mode."""
    cluster, namespace = world.cluster, world.namespace
    kind = "Role" if request.param == "namespaced" else "ClusterRole"
    service_account = read("service-account.yaml")
    role = read("role.yaml" if kind == "Role" else "cluster-role.yaml")
    lease = read("lease-role.yaml")
    subject = {"kind": "ServiceAccount", "name": service_account["metadata"]["name"], "namespace": namespace}
    bindings = [
        bind(f"{kind}Binding", role, f"{namespace}-operator" if kind == "ClusterRole" else "operator", subject),
        bind("RoleBinding", lease, "lease", subject),
    ]
    if kind == "ClusterRole":
        cluster.apply([role, bindings[0]])
        cluster.apply([service_account, lease, bindings[1]], namespace)
    else:
        cluster.apply([service_account, role, lease, *bindings], namespace)
    yield request.param
    if kind == "ClusterRole":
        cluster.kubectl("delete", "clusterrolebinding", bindings[0]["metadata"]["name"])
        cluster.kubectl("delete", "clusterrole", role["metadata"]["name"])


def bind(kind: str, role: dict[str, Any], name: str, subject: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [subject],
    }


def test_the_whole_life_of_every_kind_takes_exactly_the_rights_that_are_granted(account: str, world: World, proxy: Proxy) -> None:
    settings = everything_on(world.settings, namespaced=account == "namespaced")
    kubeconfig = proxy.through(world.cluster.kubeconfig_for("modelyard-operator", world.namespace))
    webhook = Webhook(world.folder / "tls")
    words = ("--verbose", "--lease-namespace", world.namespace, *webhook.words)
    with OperatorProcess(kubeconfig, settings, world.folder, *words, gateway_url=world.player.gateway_url) as operator:
        live(world, proxy, operator)
        assert webhook.ask(world.namespace, world.model()) == {"uid": "r", "allowed": True}
        refused = [line for line in operator.log().splitlines() if is_refusal(line)]
    assert refused == []
    granted = rights(read("role.yaml")) | rights(read("lease-role.yaml"))
    assert used(proxy) - granted == set(), "used, and not granted"
    assert granted - used(proxy) - set(UNSEEN) == set(), "granted, and not used"
    assert set(UNSEEN) <= granted and not set(UNSEEN) & used(proxy), "the list of what no request shows is out of date"
    if account == "namespaced":
        assert {call.namespace for call in proxy.traffic.calls() if call.resource} == {world.namespace}


def is_refusal(line: str) -> bool:
    """For want of a right; the whole cluster has namespaces of other tests that are on their way out, and take nothing."""
    return ("orbidden" in line or " 403 " in line) and "being terminated" not in line


def everything_on(settings: ClusterSettings, *, namespaced: bool) -> ClusterSettings:
    """With a volume claim and fences; and a clean-up that does not wait for a Milvus that is not there."""
    changes = {
        "volumeClaim": {"name": "yard", "mountPath": "/yard", "size": "1Gi"},
        "network": {},
        "cleanupPatienceS": 0,
        "namespaces": settings.namespaces if namespaced else [],
    }
    return ClusterSettings.model_validate(settings.wire() | changes)


def live(world: World, proxy: Proxy, operator: OperatorProcess) -> None:
    """Everything that ever happens to objects: waiting, running, lost, ready, edited, deleted."""
    world.apply(world.model(), world.knowledge_base())
    wait_until(lambda: world.player.jobs() != [], told=operator.log)
    make_ray_pods(world)
    # Nobody runs the job: after five seconds its causes are looked for, whenever the Model is looked at.
    looked = iter(range(1000))
    wait_until(lambda: touch(world, next(looked)) and proxy.traffic.count(subresource="log") > 0, told=operator.log)
    world.player.held = {"train"}
    with world.player:
        wait_until(lambda: "train" in world.live_jobs(), told=operator.log)
        (job,) = [job for job in world.player.jobs() if job["metadata"]["name"].startswith("train")]
        world.objects.delete_namespaced_custom_object("ray.io", "v1", world.namespace, "rayjobs", job["metadata"]["name"])
        wait_until(lambda: [j for j in world.player.jobs() if j["metadata"]["name"] == job["metadata"]["name"]] not in ([], [job]))
        world.player.held = set()
        world.await_phase("Ready")
        world.await_phase("Ready", "knowledgebases", "docs")
        suites = world.model()["spec"]["evaluation"]["suites"]
        evaluation = {"apiVersion": "modelyard.io/v1alpha1", "kind": "Evaluation", "metadata": {"name": "again"}}
        world.apply(evaluation | {"spec": {"model": "bot", "suites": suites}})
        world.await_phase("Passed", "evaluations", "again")
        for epochs in (2, 3):  # a version more than is kept is deleted
            tune = {"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}, "hyperparameters": {"epochs": epochs}}
            world.apply(world.model(fineTune=tune, retention={"keepVersions": 1}))
            wait_until(lambda: world.status().get("observedGeneration", 0) == generation(world), told=operator.log)
            world.await_phase("Ready")
        wait_until(lambda: proxy.traffic.count(verb="delete", resource="modelversions") > 0, told=world.status)
        world.delete("evaluations", "again")
        world.player.held = {"train"}
        tune["hyperparameters"] = {"epochs": 4}
        world.apply(world.model(fineTune=tune))
        wait_until(lambda: "train" in world.live_jobs(), told=operator.log)
        world.delete()
        world.await_gone()
        world.delete("knowledgebases", "docs")
        world.await_gone("knowledgebases", "docs")
        wait_until(lambda: world.ray_services() == [] and world.live_jobs() == [], told=operator.log)


def generation(world: World) -> int:
    return int((world.get() or {})["metadata"]["generation"])


def touch(world: World, count: int) -> bool:
    document = world.model()
    document["metadata"]["annotations"] = {"touched": str(count)}
    world.apply(document)
    return True


def make_ray_pods(world: World) -> None:
    """A pod that waits and one that crashed, of the RayCluster of the first job; the controllers of both are not there."""
    (cluster_name, job) = ("tried", world.player.jobs()[0])
    labels = {"ray.io/cluster": cluster_name}
    container = {"name": "ray", "image": "modelyard:test"}
    owner = {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    ray = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": cluster_name, "ownerReferences": [owner]},
        "spec": job["spec"]["rayClusterSpec"],
    }
    pods: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}}
        for name in ("waits", "crashed")
    ]
    world.cluster.apply([ray, *pods], world.namespace)
    state = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {
        "containerStatuses": [
            {"name": "ray", "ready": False, "restartCount": 0, "image": "i", "imageID": "i", "state": {"waiting": {}}, "lastState": state}
        ]
    }
    words = ("patch", "pod", "crashed", "-n", world.namespace, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    done = world.cluster.kubectl(*words)
    assert done.returncode == 0, done.stderr
