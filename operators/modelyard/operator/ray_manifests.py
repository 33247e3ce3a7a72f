"""Build what KubeRay runs: a RayJob for each job, one RayService for a namespace. Pure: plain dicts, no I/O.

The fields are those of `ray.io/v1` as KubeRay 1.6 and 1.7 have them.
"""

import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from modelyard.domain.base import digest_of
from modelyard.domain.job import TrainJob
from modelyard.domain.observed import Job
from modelyard.domain.resource import Resource
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.jobs import MODULES
from modelyard.operator.labels import (
    ATTEMPT_ANNOTATION,
    QUEUE_LABEL,
    RAY_SERVICE,
    SPEC_DIGEST_ANNOTATION,
    job_labels,
    service_labels,
)
from modelyard.operator.ray_pods import (
    CONTAINER_SECURITY,
    build_head_group,
    build_worker_group,
    count_pods,
    profile_resource,
)

RAY_API_VERSION = "ray.io/v1"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where PyYAML has it: the text is the same, and that of a thousand models takes a quarter of the time."""
AUTOSCALER_LIMITS = {"cpu": "500m", "memory": "512Mi"}


def build_ray_job(
    name: str, namespace: str, job: Job, owner: Resource, settings: ClusterSettings, attempt: int, suspend: bool
) -> dict[str, Any]:
    """One job, on a Ray cluster of its own that ends with it. Its run folder is RUNS_URI/NAMESPACE/NAME over all attempts.

    owner: the resource that asked for it first; its queue label counts. There is no ownerReference: resources of a namespace
    share a job by its name, so the operator removes it when no plan wants it any more.
    attempt: 1 for the first. A RayJob runs once, so another attempt needs the former one to be deleted first.
    suspend: hold the job. It leaves Kueue's queue then, since Kueue would start it again; Kueue takes no running job into a
    queue, so one that is to go on has to be made anew.
    Raises InvalidInputError for a profile that does not exist, or that offers less than the workers reserve.
    """
    labels = job_labels(name, owner)
    queue = "" if suspend else owner.metadata.labels.get(QUEUE_LABEL, settings.queue_name)
    spec: dict[str, Any] = {
        "entrypoint": shlex.join(
            ["python", "-u", "-m", f"modelyard.{MODULES[job.kind]}", "--run", f"{settings.runs_uri}/{namespace}/{name}"]
        ),
        # KubeRay asks the head over HTTP in any case, to learn of the job's end; a pod that only submits would be one more to place.
        "submissionMode": "HTTPMode",
        "backoffLimit": settings.backoff_limit,
        # Not deletionStrategy.deletionRules: KubeRay refuses to suspend a job that has them.
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": settings.ttl_seconds_after_finished,
        "rayClusterSpec": _build_cluster(settings, labels, job),
    }
    if settings.active_deadline_seconds:
        spec["activeDeadlineSeconds"] = settings.active_deadline_seconds
    if suspend:  # never false: in a queue, Kueue says when a job starts
        spec["suspend"] = True
    return {
        "apiVersion": RAY_API_VERSION,
        "kind": "RayJob",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels | ({QUEUE_LABEL: queue} if queue else {}),
            "annotations": {ATTEMPT_ANNOTATION: str(attempt), SPEC_DIGEST_ANNOTATION: digest_of(spec)},
        },
        "spec": spec,
    }


def build_ray_service(namespace: str, serve_config: Mapping[str, Any], settings: ClusterSettings) -> dict[str, Any]:
    """The serving side of a namespace.

    Only `serveConfigV2` depends on what is served, and KubeRay carries its changes out on the running cluster. The cluster
    depends on the settings alone: one worker group for each profile, started by Ray's autoscaler when an engine reserves it
    (`build_engine_options`). KubeRay takes no other bounds of a group into a running cluster, and another order of groups
    would be another cluster.
    """
    labels = service_labels()
    spec: dict[str, Any] = {
        "upgradeStrategy": {"type": settings.service_upgrade},
        "serveConfigV2": yaml.dump(dict(serve_config), Dumper=DUMPER, sort_keys=True, allow_unicode=True),
        "rayClusterConfig": {
            "rayVersion": settings.ray_version,
            "authOptions": _build_auth(settings),
            "enableInTreeAutoscaling": True,
            "autoscalerOptions": {
                "securityContext": CONTAINER_SECURITY,
                "resources": {"limits": AUTOSCALER_LIMITS, "requests": AUTOSCALER_LIMITS},
            },
            # The autoscaler beside the head talks to the Kubernetes API; KubeRay binds the role that it needs.
            "headGroupSpec": build_head_group(settings, labels, token=True),
            "workerGroupSpecs": [
                build_worker_group(settings, labels, name, (0, profile.max_serving_pods)) for name, profile in settings.profiles.items()
            ],
        },
    }
    return {
        "apiVersion": RAY_API_VERSION,
        "kind": "RayService",
        "metadata": {
            "name": RAY_SERVICE,
            "namespace": namespace,
            "labels": labels,
            "annotations": {SPEC_DIGEST_ANNOTATION: digest_of(spec)},
        },
        "spec": spec,
    }


def build_engine_options(settings: ClusterSettings, profile: str | None) -> dict[str, Any]:
    """`ray_actor_options` that put an engine on a pod of its own, with all that the pod offers.

    Raises InvalidInputError for a profile that does not exist.
    """
    name = settings.profile_name(profile)
    offer = settings.profiles[name].ray_resources
    custom = {resource: amount for resource, amount in offer.items() if resource not in ("CPU", "GPU")}
    return {"num_cpus": offer["CPU"], "num_gpus": offer.get("GPU", 0.0), "resources": custom | {profile_resource(name): 1.0}}


def _build_cluster(settings: ClusterSettings, labels: Mapping[str, str], job: Job) -> dict[str, Any]:
    """Pods for the workers of a training run; what only downloads needs no machine of a profile; all else runs on the head."""
    cluster: dict[str, Any] = {"rayVersion": settings.ray_version, "authOptions": _build_auth(settings)}
    if isinstance(job, TrainJob):
        workers = job.fine_tune.workers
        profile = settings.profile_name(workers.profile)
        pods = count_pods(settings, profile, workers)
        group = build_worker_group(settings, labels, profile, (pods, pods))
        return cluster | {"headGroupSpec": build_head_group(settings, labels), "workerGroupSpecs": [group]}
    own_machine = None if job.kind == "fetch" else settings.default_profile
    return cluster | {"headGroupSpec": build_head_group(settings, labels, own_machine)}


def _build_auth(settings: ClusterSettings) -> dict[str, Any]:
    """Ray's token: without one, whoever reaches the dashboard's port may run anything."""
    return {"mode": "token"} | ({"secretName": settings.auth_token_secret} if settings.auth_token_secret else {})
