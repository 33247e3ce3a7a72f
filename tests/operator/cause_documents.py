"""Documents of a RayJob that does not run, as the API gives them, and what is told of them."""

from typing import Any

from modelyard.operator.causes import ClusterSeen, find_cause

Document = dict[str, Any]

HEAD, WORKER = "train-1-abcde-head-x1", "train-1-abcde-gpu-worker-y1"
OOM = {"reason": "OOMKilled", "exitCode": 137, "startedAt": "2026-11-24T12:00:00Z", "finishedAt": "2026-11-24T12:03:00Z"}


def job(attempt: int = 1, uid: str = "job-uid", **status: object) -> Document:
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "train-1", "namespace": "team", "uid": uid, "annotations": {"modelyard.io/attempt": str(attempt)}},
        "spec": {},
        "status": {"jobDeploymentStatus": "Initializing", "rayClusterName": "train-1-abcde", **status},
    }


def failed(reason: str, message: str) -> Document:
    return job(jobDeploymentStatus="Failed", jobStatus="FAILED", reason=reason, message=message)


def cluster(name: str = "train-1-abcde", owner: str = "job-uid", attempt: int = 1, conditions: list[Document] | None = None) -> Document:
    return {
        "kind": "RayCluster",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"{name}-uid",
            "creationTimestamp": "2026-11-24T12:00:00Z",
            "annotations": {"modelyard.io/attempt": str(attempt)},
            "ownerReferences": [{"kind": "RayJob", "name": "train-1", "uid": owner}],
        },
        "status": {"conditions": conditions or []},
    }


def refused(message: str) -> Document:
    """A RayCluster whose head could not be created."""
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreateHeadPod", "message": message}
    return cluster(conditions=[{"type": "HeadPodReady", "status": "False", "reason": "HeadPodNotFound", "message": ""}, condition])


def pod(name: str = WORKER, of: str = "train-1-abcde", limits: Document | None = None, **status: object) -> Document:
    kind = "head" if "head" in name else "worker"
    limits = limits or {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "8"}
    container = {"name": f"ray-{kind}", "image": "yard:1", "resources": {"limits": limits, "requests": limits}}
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"{name}-uid",
            "labels": {"ray.io/cluster": of, "ray.io/node-type": kind, "ray.io/is-ray-node": "yes"},
        },
        "spec": {"containers": [container], "volumes": [{"name": "yard", "persistentVolumeClaim": {"claimName": "yard"}}]},
        "status": {"phase": "Pending", **status},
    }


def waiting(reason: str, message: str = "", name: str = HEAD, last: Document | None = None) -> Document:
    container = {
        "name": "ray-head",
        "image": "yard:1",
        "ready": False,
        "restartCount": 5 if last else 0,
        "state": {"waiting": {"reason": reason, "message": message}},
        "lastState": {"terminated": last} if last else {},
    }
    return pod(name, containerStatuses=[container])


def ended(**terminated: object) -> Document:
    container = {
        "name": "ray-head",
        "image": "yard:1",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": terminated},
        "lastState": {},
    }
    return pod(HEAD, phase="Failed", containerStatuses=[container])


def unschedulable(message: str) -> Document:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(conditions=[condition])


def event(of: Document, reason: str, message: str, type: str = "Warning", at: str = "12:01:00") -> Document:  # noqa: A002
    metadata = of["metadata"]
    return {
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{reason}", "creationTimestamp": f"2026-11-24T{at}Z"},
        "involvedObject": {"kind": of["kind"], "name": metadata["name"], "namespace": "team", "uid": metadata["uid"]},
        "type": type,
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-11-24T{at}Z",
    }


def claim(phase: str = "Pending") -> Document:
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "yard", "namespace": "team", "uid": "yard-uid"},
        "status": {"phase": phase},
    }


def seen(*pods: Document, **more: Any) -> ClusterSeen:
    return ClusterSeen(**({"root": job(), "clusters": [cluster()], "pods": pods} | more))


def newer(document: Document, **metadata: object) -> Document:
    return document | {"metadata": document["metadata"] | metadata}


def tell(given: ClusterSeen) -> tuple[str, str, bool]:
    """Reason, message and whether another attempt may help."""
    cause = find_cause(given)
    assert cause is not None
    assert "\n" not in cause.message
    return cause.reason, cause.message, cause.retryable


GPUS = unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
MISSING = waiting("CreateContainerConfigError", 'secret "hub" not found')
CRASH = waiting("CrashLoopBackOff", "back-off", last={"reason": "Error", "exitCode": 1}, name=WORKER)
PULL = waiting("ErrImagePull", "not found")
