"""RayJobs and the RayService, whole."""

import pytest
import yaml

from modelyard.domain.base import digest_of
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.evaluation import Suite
from modelyard.domain.fine_tune import Dataset, FineTune, Hyperparameters, Workers
from modelyard.domain.job import EvaluateJob, FetchJob, IngestJob, TrainJob
from modelyard.domain.knowledge_base import Chunking, DocumentSource
from modelyard.domain.model import Model, ModelSpec, Source
from modelyard.domain.observed import Job
from modelyard.domain.resource import Metadata
from modelyard.operator.cluster_settings import ClusterSettings, Profile, SecretKey, Toleration, VolumeClaim
from modelyard.operator.ray_manifests import build_engine_options, build_ray_job, build_ray_service

CPU = Profile(limits={"cpu": "4", "memory": "16Gi"}, ray_resources={"CPU": 4}, memory_gib=16)
GPU = Profile(
    node_selector={"pool": "gpu"},
    tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")],
    limits={"cpu": "32", "memory": "256Gi", "nvidia.com/gpu": "8"},
    requests={"cpu": "16", "memory": "256Gi", "nvidia.com/gpu": "8"},
    ray_resources={"CPU": 32, "GPU": 8},
    memory_gib=640,
    max_serving_pods=2,
)
PLAIN = ClusterSettings(
    image="yard:1",
    ray_version="2.60.0",
    store_uri="s3://yard/store",
    runs_uri="s3://yard/runs",
    milvus_uri="http://milvus:19530",
    default_profile="cpu",
    profiles={"cpu": CPU, "h100": GPU},
)
FULL = PLAIN.model_copy(
    update={
        "image_pull_secrets": ["registry"],
        "volume_claim": VolumeClaim(name="yard", mount_path="/yard"),
        "environment": {"AWS_ENDPOINT_URL": "http://minio"},
        "secret_environment": {"HF_TOKEN": SecretKey(name="hub", key="token", optional=True)},
        "queue_name": "research",
        "active_deadline_seconds": 3600,
        "auth_token_secret": "ray",
        "service_upgrade": "None",
    }
)

FETCH = FetchJob(store="s3://yard/store", source=Source(uri="hf://org/base"), role="causal-lm")
EVALUATE = EvaluateJob(store="s3://yard/store", base_digest="b", suites=[Suite(name="s", uri="s3://s")], suite_digests={"s": "d"})
INGEST = IngestJob(
    store="s3://yard/store",
    sources=[DocumentSource(uri="s3://docs")],
    chunking=Chunking(),
    embedding_digest="e",
    milvus_uri="http://milvus:19530",
    collection="c",
    alias="a",
)


def train(**workers: object) -> TrainJob:
    count = workers.get("count", 1)
    tuning = FineTune(
        dataset=Dataset(uri="s3://yard/rows.jsonl"),
        hyperparameters=Hyperparameters(batch_size=4 * count, micro_batch_size=4),  # type: ignore[operator]
        workers=Workers.model_validate(workers),
    )
    return TrainJob(store="s3://yard/store", version="bot-1", base_digest="b", fine_tune=tuning, dataset_digest="d")


def owner(**labels: str) -> Model:
    return Model(metadata=Metadata(name="bot", namespace="team", labels=labels), spec=ModelSpec(source=Source(uri="hf://org/base")))


def build(job: Job, settings: ClusterSettings = PLAIN, name: str = "job-1", suspend: bool = False, **labels: str) -> dict:
    return build_ray_job(name, "team", job, owner(**labels), settings, 2, suspend)


LABELS = {
    "app.kubernetes.io/managed-by": "modelyard",
    "modelyard.io/job": "job-1",
    "modelyard.io/kind": "Model",
    "modelyard.io/name": "bot",
}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "fsGroup": 1000,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(container: str, limits: dict, requests: dict | None = None, labels: dict = LABELS, token: bool = False, **more: object) -> dict:
    """A pod of the plain settings."""
    main = {
        "name": container,
        "image": "yard:1",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": limits, "requests": requests or limits},
        "securityContext": CONTAINER_SECURITY,
    }
    spec = {
        "serviceAccountName": "modelyard-jobs",
        "automountServiceAccountToken": token,
        "securityContext": POD_SECURITY,
        "containers": [main],
    }
    return {"metadata": {"labels": labels}, "spec": spec | more}


HEAD_LIMITS = {"cpu": "2", "memory": "8Gi"}
DRIVING_HEAD = {"rayStartParams": {"dashboard-host": "0.0.0.0"}, "resources": {"CPU": "0"}, "template": pod("ray-head", HEAD_LIMITS)}
GPU_PLACE = {
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
}


def test_a_download_runs_on_a_head_alone() -> None:
    manifest = build(FETCH)
    assert manifest == {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": "job-1",
            "namespace": "team",
            "labels": LABELS,
            "annotations": {"modelyard.io/attempt": "2", "modelyard.io/spec-digest": digest_of(manifest["spec"])},
        },
        "spec": {
            "entrypoint": "python -u -m modelyard.artifacts --run s3://yard/runs/team/job-1",
            "submissionMode": "HTTPMode",
            "backoffLimit": 0,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": 600,
            "rayClusterSpec": {"rayVersion": "2.60.0", "authOptions": {"mode": "token"}, "headGroupSpec": DRIVING_HEAD},
        },
    }


def test_a_training_run_has_a_head_that_drives_and_pods_of_its_profile() -> None:
    manifest = build(train(count=16, profile="h100", resources={"CPU": 2, "GPU": 1}))
    assert manifest["spec"]["entrypoint"] == "python -u -m modelyard.training --run s3://yard/runs/team/job-1"
    assert manifest["spec"]["rayClusterSpec"] == {
        "rayVersion": "2.60.0",
        "authOptions": {"mode": "token"},
        "headGroupSpec": DRIVING_HEAD,
        "workerGroupSpecs": [
            {
                "groupName": "h100",
                "replicas": 2,
                "minReplicas": 2,
                "maxReplicas": 2,
                "rayStartParams": {},
                "resources": {"CPU": "32", "GPU": "8", "profile-h100": "1"},
                "template": pod(
                    "ray-worker",
                    {"cpu": "32", "memory": "256Gi", "nvidia.com/gpu": "8"},
                    {"cpu": "16", "memory": "256Gi", "nvidia.com/gpu": "8"},
                    **GPU_PLACE,
                ),
            }
        ],
    }


@pytest.mark.parametrize(
    ("workers", "pods"),
    [
        pytest.param({"count": 1}, 1, id="one worker takes one pod"),
        pytest.param({"count": 4}, 1, id="as many as fit share a pod, as Ray packs them"),
        pytest.param({"count": 5}, 2, id="one more takes another pod"),
        pytest.param({"count": 3, "resources": {"CPU": 3}}, 3, id="what does not fit beside another gets its own"),
        pytest.param({"count": 9, "resources": {"CPU": 1, "GPU": 1}, "profile": "h100"}, 2, id="the scarcest resource decides"),
        pytest.param({"count": 7, "resources": {"CPU": 0}}, 1, id="workers that reserve nothing share one pod"),
    ],
)
def test_workers_get_as_many_pods_as_they_need(workers: dict, pods: int) -> None:
    (group,) = build(train(**workers))["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (pods, pods, pods)


@pytest.mark.parametrize(
    ("job", "module"),
    [pytest.param(EVALUATE, "evaluation", id="an evaluation"), pytest.param(INGEST, "retrieval", id="an ingest")],
)
def test_what_computes_on_its_head_gets_a_machine_of_the_default_profile(job: Job, module: str) -> None:
    spec = build(job, PLAIN.model_copy(update={"default_profile": "h100"}))["spec"]
    assert spec["entrypoint"] == f"python -u -m modelyard.{module} --run s3://yard/runs/team/job-1"
    assert spec["rayClusterSpec"] == {
        "rayVersion": "2.60.0",
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": {"dashboard-host": "0.0.0.0"},
            "resources": {"CPU": "32", "GPU": "8"},
            "template": pod(
                "ray-head",
                {"cpu": "32", "memory": "256Gi", "nvidia.com/gpu": "8"},
                {"cpu": "16", "memory": "256Gi", "nvidia.com/gpu": "8"},
                **GPU_PLACE,
            ),
        },
    }


def test_every_optional_setting_reaches_the_job() -> None:
    manifest = build(FETCH, FULL)
    assert manifest["metadata"]["labels"] == LABELS | {"kueue.x-k8s.io/queue-name": "research"}
    spec = manifest["spec"]
    assert spec["activeDeadlineSeconds"] == 3600
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token", "secretName": "ray"}
    (container,) = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"].pop("containers")
    assert container["env"] == [
        {"name": "AWS_ENDPOINT_URL", "value": "http://minio"},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token", "optional": True}}},
    ]
    assert container["volumeMounts"] == [{"name": "yard", "mountPath": "/yard"}]
    assert spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"] == {
        "serviceAccountName": "modelyard-jobs",
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [{"name": "yard", "persistentVolumeClaim": {"claimName": "yard"}}],
    }


def test_the_queue_of_the_resource_wins_over_that_of_the_settings() -> None:
    manifest = build(FETCH, FULL, **{"kueue.x-k8s.io/queue-name": "urgent"})
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "urgent"


def test_a_held_job_is_suspended_and_in_no_queue() -> None:
    manifest = build(FETCH, FULL, suspend=True)
    assert manifest["spec"]["suspend"] is True
    assert "kueue.x-k8s.io/queue-name" not in manifest["metadata"]["labels"]


def test_a_job_that_is_not_held_leaves_its_suspension_to_kueue() -> None:
    assert "suspend" not in build(FETCH, FULL)["spec"]


def test_a_run_folder_with_a_blank_stays_one_argument() -> None:
    settings = PLAIN.model_copy(update={"runs_uri": "file:///my runs"})
    assert build(FETCH, settings)["spec"]["entrypoint"] == "python -u -m modelyard.artifacts --run 'file:///my runs/team/job-1'"


def test_another_attempt_has_the_same_spec() -> None:
    first, second = (build_ray_job("job-1", "team", FETCH, owner(), PLAIN, attempt, False) for attempt in (1, 2))
    assert first["spec"] == second["spec"]
    assert first["metadata"]["annotations"] == second["metadata"]["annotations"] | {"modelyard.io/attempt": "1"}


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        pytest.param(
            {"profile": "h1000"}, "there is no profile 'h1000' on this cluster; did you mean h100? there is cpu, h100", id="unknown"
        ),
        pytest.param(
            {"resources": {"GPU": 1}},
            "a worker reserves 1 GPU and a pod of profile 'cpu' offers 0;"
            " set spec.fineTune.workers.profile to h100, or lower spec.fineTune.workers.resources",
            id="another profile has it",
        ),
        pytest.param(
            {"resources": {"CPU": 64}},
            "a worker reserves 64 CPU and a pod of profile 'cpu' offers 4; lower spec.fineTune.workers.resources",
            id="no profile has it",
        ),
    ],
)
def test_workers_that_no_pod_can_hold_are_refused(workers: dict, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        build(train(**workers))
    assert str(caught.value) == message


SERVE = {"proxy_location": "EveryNode", "applications": [{"name": "gateway", "route_prefix": "/", "args": {"greeting": "grüezi: 1"}}]}
SERVICE_LABELS = {"app.kubernetes.io/managed-by": "modelyard", "modelyard.io/kind": "RayService", "modelyard.io/name": "modelyard"}


def test_the_serving_side_has_a_head_and_a_group_for_each_profile() -> None:
    manifest = build_ray_service("team", SERVE, PLAIN)
    autoscaler = {"cpu": "500m", "memory": "512Mi"}

    def group(name: str, most: int, resources: dict, template: dict) -> dict:
        bounds = {"replicas": 0, "minReplicas": 0, "maxReplicas": most}
        return {"groupName": name, **bounds, "rayStartParams": {}, "resources": resources, "template": template}

    assert manifest == {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": "modelyard",
            "namespace": "team",
            "labels": SERVICE_LABELS,
            "annotations": {"modelyard.io/spec-digest": digest_of(manifest["spec"])},
        },
        "spec": {
            "upgradeStrategy": {"type": "NewCluster"},
            "serveConfigV2": manifest["spec"]["serveConfigV2"],
            "rayClusterConfig": {
                "rayVersion": "2.60.0",
                "authOptions": {"mode": "token"},
                "enableInTreeAutoscaling": True,
                "autoscalerOptions": {
                    "securityContext": CONTAINER_SECURITY,
                    "resources": {"limits": autoscaler, "requests": autoscaler},
                },
                "headGroupSpec": {
                    "rayStartParams": {"dashboard-host": "0.0.0.0"},
                    "resources": {"CPU": "0"},
                    "template": pod("ray-head", HEAD_LIMITS, labels=SERVICE_LABELS, token=True),
                },
                "workerGroupSpecs": [
                    group(
                        "cpu",
                        8,
                        {"CPU": "4", "profile-cpu": "1"},
                        pod("ray-worker", {"cpu": "4", "memory": "16Gi"}, labels=SERVICE_LABELS),
                    ),
                    group(
                        "h100",
                        2,
                        {"CPU": "32", "GPU": "8", "profile-h100": "1"},
                        pod(
                            "ray-worker",
                            {"cpu": "32", "memory": "256Gi", "nvidia.com/gpu": "8"},
                            {"cpu": "16", "memory": "256Gi", "nvidia.com/gpu": "8"},
                            labels=SERVICE_LABELS,
                            **GPU_PLACE,
                        ),
                    ),
                ],
            },
        },
    }
    assert yaml.safe_load(manifest["spec"]["serveConfigV2"]) == SERVE


def test_another_serve_config_leaves_the_cluster_alone() -> None:
    before, after = build_ray_service("team", SERVE, FULL), build_ray_service("team", {"applications": []}, FULL)
    assert before["spec"] | {"serveConfigV2": after["spec"]["serveConfigV2"]} == after["spec"]
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


def test_one_more_profile_is_appended_to_the_groups() -> None:
    more = FULL.model_copy(update={"profiles": FULL.profiles | {"a10": CPU}})
    before, after = (
        build_ray_service("team", SERVE, settings)["spec"]["rayClusterConfig"]["workerGroupSpecs"] for settings in (FULL, more)
    )
    assert after[: len(before)] == before
    assert [group["groupName"] for group in after] == ["cpu", "h100", "a10"]


def test_an_engine_takes_a_pod_of_its_profile_for_itself() -> None:
    assert build_engine_options(PLAIN, "h100") == {"num_cpus": 32.0, "num_gpus": 8.0, "resources": {"profile-h100": 1.0}}
    assert build_engine_options(PLAIN, None) == {"num_cpus": 4.0, "num_gpus": 0.0, "resources": {"profile-cpu": 1.0}}


def test_an_engine_on_an_unknown_profile_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="there is no profile 'tpu'"):
        build_engine_options(PLAIN, "tpu")
