"""Every label, annotation, finalizer and fixed name that the operator puts on Kubernetes objects, and those of others that it reads."""

from modelyard.domain.resource import GROUP, Resource

FIELD_MANAGER = "modelyard"
FINALIZER = f"{GROUP}/cleanup"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
KIND_LABEL = f"{GROUP}/kind"
NAME_LABEL = f"{GROUP}/name"
JOB_LABEL = f"{GROUP}/job"

ATTEMPT_ANNOTATION = f"{GROUP}/attempt"
"""How often the job was started, this time included."""
SPEC_DIGEST_ANNOTATION = f"{GROUP}/spec-digest"
"""sha256 of the `spec` as it was built: another one says that it has to be applied anew."""

RAY_SERVICE = "modelyard"
"""The one RayService of a namespace."""
SERVE_SERVICE = f"{RAY_SERVICE}-serve-svc"
"""The Service that KubeRay makes for it: the OpenAI-compatible endpoint."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Kueue's: the LocalQueue that admits a job."""
RAY_CLUSTER_LABEL = "ray.io/cluster"
"""KubeRay's, on every pod: the RayCluster."""
RAY_NODE_TYPE_LABEL = "ray.io/node-type"
"""KubeRay's, on every pod: `head` or `worker`."""


def managed_labels() -> dict[str, str]:
    """What everything carries that the operator makes."""
    return {MANAGED_BY_LABEL: FIELD_MANAGER}


def job_labels(job_name: str, owner: Resource) -> dict[str, str]:
    """What a RayJob and its pods carry. owner: the resource that asked for the job first; others may share it."""
    return managed_labels() | {JOB_LABEL: job_name, KIND_LABEL: owner.kind, NAME_LABEL: owner.metadata.name}


def service_labels() -> dict[str, str]:
    """What the RayService and its pods carry."""
    return managed_labels() | {KIND_LABEL: "RayService", NAME_LABEL: RAY_SERVICE}
