"""What the builders make, as a real API server with KubeRay's definitions takes it."""

from typing import Any

import pytest
import yaml

from harness.cluster import Cluster
from modelyard.domain.evaluation import Suite
from modelyard.domain.fine_tune import Dataset, FineTune, Hyperparameters, Workers
from modelyard.domain.job import EvaluateJob, FetchJob, IngestJob, TrainJob
from modelyard.domain.knowledge_base import Chunking, DocumentSource
from modelyard.domain.model import Model, ModelSpec, Source
from modelyard.domain.names import job_name
from modelyard.domain.resource import Metadata
from modelyard.operator.cluster_settings import (
    ClusterSettings,
    Destination,
    Network,
    Profile,
    SecretKey,
    Toleration,
    VolumeClaim,
)
from modelyard.operator.kubernetes_serving import covers
from modelyard.operator.labels import FIELD_MANAGER
from modelyard.operator.ray_manifests import build_ray_job, build_ray_service
from modelyard.operator.support_manifests import build_network_policies, build_service_account, build_volume_claim

PLAIN = ClusterSettings(
    image="yard:1",
    ray_version="2.60.0",
    store_uri="s3://yard/store",
    runs_uri="s3://yard/runs",
    milvus_uri="http://milvus:19530",
    default_profile="cpu",
    profiles={"cpu": Profile(limits={"cpu": "4", "memory": "16Gi"}, ray_resources={"CPU": 4, "licence": 0.5}, memory_gib=16)},
)
GPU = Profile(
    node_selector={"pool": "gpu"},
    tolerations=[
        Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoExecute", toleration_seconds=60),
        Toleration(operator="Exists"),
    ],
    limits={"cpu": "7500m", "memory": "64Gi", "nvidia.com/gpu": "1"},
    requests={"cpu": "4", "memory": "64Gi", "nvidia.com/gpu": "1"},
    ray_resources={"CPU": 7.5, "GPU": 1},
    memory_gib=80,
)
FULL = ClusterSettings(
    **(PLAIN.model_dump() | {"profiles": PLAIN.profiles | {"h100": GPU}}),  # type: ignore[arg-type]
).model_copy(
    update={
        "image_pull_policy": "Always",
        "image_pull_secrets": ["registry"],
        "volume_claim": VolumeClaim(name="yard", mount_path="/yard", size="100Gi", storage_class="nfs"),
        "environment": {"AWS_ENDPOINT_URL": "http://minio"},
        "secret_environment": {"HF_TOKEN": SecretKey(name="hub", key="token", optional=True)},
        "queue_name": "research",
        "backoff_limit": 2,
        "active_deadline_seconds": 3600,
        "service_upgrade": "None",
        "auth_token_secret": "ray",
        "network": Network(
            client_namespaces=["ingress"],
            metrics_namespaces=["monitoring"],
            destinations=[Destination(cidr="10.0.0.0/8", ports=[443]), Destination(namespace="milvus", ports=[19530])],
        ),
    }
)

JOBS = [
    FetchJob(store="s3://yard/store", source=Source(uri="hf://org/base"), role="causal-lm"),
    EvaluateJob(store="s3://yard/store", base_digest="b", suites=[Suite(name="s", uri="s3://s")], suite_digests={"s": "d"}),
    IngestJob(
        store="s3://yard/store",
        sources=[DocumentSource(uri="s3://docs")],
        chunking=Chunking(),
        embedding_digest="e",
        milvus_uri="http://milvus:19530",
        collection="c",
        alias="a",
    ),
    TrainJob(
        store="s3://yard/store",
        version="bot-1",
        base_digest="b",
        dataset_digest="d",
        fine_tune=FineTune(
            dataset=Dataset(uri="s3://yard/rows.jsonl"),
            hyperparameters=Hyperparameters(batch_size=16),
            workers=Workers(count=4, resources={"CPU": 0.5}),
        ),
    ),
]
OWNER = Model(metadata=Metadata(name="b" * 63, labels={"team": "yard"}), spec=ModelSpec(source=Source(uri="hf://org/base")))
SERVE = {"applications": [{"name": "gateway", "route_prefix": "/", "args": {"greeting": "grüezi: 1"}}]}

SETTINGS = [pytest.param(PLAIN, id="the fewest settings"), pytest.param(FULL, id="every setting")]


def build_all(namespace: str, settings: ClusterSettings) -> list[dict[str, Any]]:
    jobs = [
        build_ray_job(f"{job_name(job)}-{number}", namespace, job, OWNER, settings, 1, suspend)
        for job in JOBS
        for number, suspend in enumerate((False, True))
    ]
    support = [build_service_account(namespace, settings), *build_network_policies(namespace, settings)]
    claim = build_volume_claim(namespace, settings)
    return [*jobs, build_ray_service(namespace, SERVE, settings), *support, *([claim] if claim else [])]


def apply(cluster: Cluster, document: dict[str, Any], *words: str) -> dict[str, Any]:
    """Apply as the operator does, with every field checked against the definitions; returns what the server makes of it."""
    flags = ("--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}", "--validate=strict", "-o", "yaml")
    done = cluster.kubectl("apply", *flags, *words, "-f", "-", stdin=yaml.safe_dump(document))
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = yaml.safe_load(done.stdout)
    return answer


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> str:
    """A namespace where KubeRay's definitions are known."""
    cluster.install_kuberay_crds()
    return cluster.namespace()


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_api_server_takes_every_object_as_it_is(cluster: Cluster, place: str, settings: ClusterSettings) -> None:
    documents = build_all(place, settings)
    assert len(documents) >= len(JOBS) * 2 + 2
    for document in documents:
        taken = apply(cluster, document, "--dry-run=server")
        assert covers(taken, document), f"the server changed {document['kind']}/{document['metadata']['name']}"


def test_the_api_server_would_tell_of_a_field_that_does_not_exist(cluster: Cluster, place: str) -> None:
    document = build_ray_service(place, SERVE, PLAIN)
    document["spec"]["rayClusterConfig"]["authOption"] = {}
    done = cluster.kubectl("apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(document))
    assert done.returncode
    assert "authOption" in done.stderr


def test_a_job_that_goes_on_is_no_longer_suspended(cluster: Cluster, place: str) -> None:
    held, going = (build_ray_job("fetch-held", place, JOBS[0], OWNER, PLAIN, 1, suspend) for suspend in (True, False))
    assert apply(cluster, held)["spec"]["suspend"] is True
    assert "suspend" not in apply(cluster, going)["spec"]


def test_applying_the_same_again_changes_nothing(cluster: Cluster, place: str) -> None:
    first, second = (apply(cluster, build_ray_service(place, SERVE, FULL)) for _ in range(2))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert second["spec"] == first["spec"]
