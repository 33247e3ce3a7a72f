"""Root causes in the words of a real API server and its controllers, and pods that a strict namespace takes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from harness.cluster import Cluster
from modelyard.domain.job import FetchJob
from modelyard.domain.model import Model, ModelSpec, Source
from modelyard.domain.resource import Metadata
from modelyard.operator.causes import ClusterSeen, find_cause
from modelyard.operator.cluster_settings import ClusterSettings, Profile, VolumeClaim
from modelyard.operator.ray_manifests import build_ray_job, build_ray_service
from modelyard.operator.refusal_causes import find_refusal
from modelyard.operator.support_manifests import build_service_account, build_volume_claim
from operating import wait_until

SETTINGS = ClusterSettings(
    image="yard:1",
    ray_version="2.60.0",
    store_uri="s3://yard/store",
    runs_uri="s3://yard/runs",
    milvus_uri="http://milvus:19530",
    default_profile="gpu",
    profiles={"gpu": Profile(limits={"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2"}, ray_resources={"CPU": 4}, memory_gib=16)},
    volume_claim=VolumeClaim(name="yard", mount_path="/yard", size="1Gi", storage_class="nowhere"),
)
SERVICE = build_ray_service("any", {}, SETTINGS)
CLUSTER = {"kind": "RayCluster", "metadata": {"name": "modelyard-x"}}
STRICT = {"pod-security.kubernetes.io/enforce": "restricted"}


class Pods:
    """Makes pods in a namespace, as KubeRay would from our templates."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.namespace, self.core = namespace, client.CoreV1Api(cluster.client())

    def create(self, template: dict[str, Any], name: str = "pod") -> None:
        """Raises ApiException."""
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] | {"name": name}, "spec": template["spec"]}
        self.core.create_namespaced_pod(self.namespace, body)

    def refusal(self, template: dict[str, Any]) -> str:
        """What the API server says to a pod that it refuses; empty if it takes it, which is taken back then."""
        try:
            self.create(template)
        except ApiException as error:
            return str(json.loads(error.body)["message"])
        self.core.delete_namespaced_pod("pod", self.namespace, grace_period_seconds=0)
        return ""


@pytest.fixture
def pods(cluster: Cluster, namespace: str) -> Pods:
    made = Pods(cluster, namespace)
    made.core.create_namespaced_service_account(namespace, build_service_account(namespace, SETTINGS))
    return made


def worker() -> dict[str, Any]:
    template: dict[str, Any] = SERVICE["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]
    return template


def told(pods: Pods, template: dict[str, Any]) -> tuple[str, str]:
    """The cause of the refusal that comes, once what has to refuse is in force: reason and message."""
    said = ""

    def refused() -> bool:
        nonlocal said
        said = pods.refusal(template)
        return bool(said)

    wait_until(refused)
    cause = find_refusal(CLUSTER, f"failed to create head pod: {said}")
    assert cause is not None, said
    return cause.reason, cause.message


def test_a_namespace_with_the_strictest_pod_security_takes_every_pod(pods: Pods) -> None:
    pods.core.patch_namespace(pods.namespace, {"metadata": {"labels": STRICT}})
    owner = Model(metadata=Metadata(name="bot"), spec=ModelSpec(source=Source(uri="hf://org/base")))
    fetch = build_ray_job("fetch-1", "any", FetchJob(store="s3://s", source=owner.spec.source, role="causal-lm"), owner, SETTINGS, 1, False)
    templates = [
        SERVICE["spec"]["rayClusterConfig"]["headGroupSpec"]["template"],
        worker(),
        fetch["spec"]["rayClusterSpec"]["headGroupSpec"]["template"],
    ]
    for number, template in enumerate(templates):
        pods.create(template, f"pod-{number}")


def test_pod_security_that_refuses_is_told(pods: Pods) -> None:
    pods.core.patch_namespace(pods.namespace, {"metadata": {"labels": STRICT}})
    template = worker()
    reason, message = told(pods, {**template, "spec": {**template["spec"], "hostNetwork": True}})
    assert reason == "AdmissionRefused"
    assert message.startswith("the Pod Security Standard 'restricted:latest' refuses pods of RayCluster/modelyard-x: host namespaces")


def test_a_quota_is_told_with_its_figures(pods: Pods) -> None:
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "1"}}}
    pods.core.create_namespaced_resource_quota(pods.namespace, quota)
    wait_until(lambda: pods.core.read_namespaced_resource_quota("gpus", pods.namespace).status.hard is not None)
    assert told(pods, worker()) == (
        "QuotaExceeded",
        "the ResourceQuota 'gpus' has no room for 2 nvidia.com/gpu more than the 0 of 1 in use;"
        " ask for less, wait, or have the quota raised",
    )


def test_a_quota_that_wants_a_limit_is_told(pods: Pods) -> None:
    quota = {"metadata": {"name": "memory"}, "spec": {"hard": {"limits.memory": "64Gi"}}}
    pods.core.create_namespaced_resource_quota(pods.namespace, quota)
    wait_until(lambda: pods.core.read_namespaced_resource_quota("memory", pods.namespace).status.hard is not None)
    template = worker()
    container = template["spec"]["containers"][0] | {"resources": {"limits": {"cpu": "1"}}}
    assert told(pods, {**template, "spec": {**template["spec"], "containers": [container]}}) == (
        "QuotaExceeded",
        "the ResourceQuota 'memory' wants pods to state limits.memory; add it to the profile's limits and to headLimits",
    )


def test_an_account_that_is_missing_is_told(pods: Pods) -> None:
    pods.core.delete_namespaced_service_account(SETTINGS.service_account, pods.namespace)
    reason, message = told(pods, worker())
    assert reason == "InvalidServiceAccount"
    assert "run as ServiceAccount 'modelyard-jobs', which is not there" in message


def test_a_limit_range_is_told(pods: Pods) -> None:
    limits = {"metadata": {"name": "small"}, "spec": {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}}
    pods.core.create_namespaced_limit_range(pods.namespace, limits)
    reason, message = told(pods, worker())
    assert reason == "AdmissionRefused"
    assert "a LimitRange refuses pods of RayCluster/modelyard-x: maximum memory usage per Container is 1Gi, but limit is 16Gi" in message


@pytest.fixture
def policy(cluster: Cluster, namespace: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Puts an admission object in force for the namespace alone, until the test ends."""
    api = client.AdmissionregistrationV1Api(cluster.client())
    undo: list[Callable[[], object]] = []

    def make(document: dict[str, Any]) -> None:
        kind = document["kind"]
        create, delete = {
            "ValidatingAdmissionPolicy": (api.create_validating_admission_policy, api.delete_validating_admission_policy),
            "ValidatingAdmissionPolicyBinding": (
                api.create_validating_admission_policy_binding,
                api.delete_validating_admission_policy_binding,
            ),
            "ValidatingWebhookConfiguration": (
                api.create_validating_webhook_configuration,
                api.delete_validating_webhook_configuration,
            ),
        }[kind]
        create(document | {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": namespace}})
        undo.append(lambda: delete(namespace))

    yield make
    for each in undo:
        each()


def test_a_policy_that_refuses_is_told(pods: Pods, policy: Callable[[dict[str, Any]], None]) -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    check = {"expression": "false", "message": "only images of registry.example"}
    policy({"kind": "ValidatingAdmissionPolicy", "spec": {"matchConstraints": {"resourceRules": rules}, "validations": [check]}})
    mine = {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}}
    policy(
        {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": pods.namespace, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": mine}},
        }
    )
    reason, message = told(pods, worker())
    assert reason == "AdmissionRefused"
    assert message.startswith(
        f"the ValidatingAdmissionPolicy {pods.namespace!r} refuses pods of RayCluster/modelyard-x: only images of registry.example;"
    )


def test_a_webhook_that_does_not_answer_is_told(pods: Pods, policy: Callable[[dict[str, Any]], None]) -> None:
    policy(
        {
            "kind": "ValidatingWebhookConfiguration",
            "webhooks": [
                {
                    "name": "images.example.com",
                    "clientConfig": {"url": "https://127.0.0.1:1/"},
                    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": pods.namespace}},
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }
    )
    reason, message = told(pods, worker())
    assert reason == "AdmissionUnavailable"
    assert message.startswith("the admission webhook 'images.example.com' does not answer: ")


def test_a_storage_class_that_is_missing_is_told(cluster: Cluster, pods: Pods) -> None:
    pods.core.create_namespaced_persistent_volume_claim(pods.namespace, build_volume_claim(pods.namespace, SETTINGS))
    pods.create(worker() | {"metadata": {"labels": {"ray.io/cluster": "modelyard-x", "ray.io/node-type": "worker"}}})
    root = {
        "kind": "RayJob",
        "metadata": {"name": "train-1", "uid": "u"},
        "status": {"rayClusterName": "modelyard-x", "jobDeploymentStatus": "Initializing"},
    }
    api = cluster.client()

    def look() -> ClusterSeen:
        claims, found, events = (
            api.sanitize_for_serialization(listing(pods.namespace).items)
            for listing in (
                pods.core.list_namespaced_persistent_volume_claim,
                pods.core.list_namespaced_pod,
                pods.core.list_namespaced_event,
            )
        )
        return ClusterSeen(
            root=root, pods=found, events=events, claims=[document | {"kind": "PersistentVolumeClaim"} for document in claims]
        )

    wait_until(lambda: find_cause(look()) is not None)
    cause = find_cause(look())
    assert cause is not None
    assert (cause.reason, cause.message) == (
        "StorageClassNotFound",
        "PersistentVolumeClaim/yard asks for the StorageClass 'nowhere', which is not there; take one of `kubectl get storageclass`",
    )
