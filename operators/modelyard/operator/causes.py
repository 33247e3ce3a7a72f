"""Find the root cause of a RayJob or RayService that does not run, from all that the API tells about it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.operator.cause import Cause, Document, last_line, name_of, shortened
from modelyard.operator.labels import ATTEMPT_ANNOTATION, RAY_CLUSTER_LABEL, RAY_NODE_TYPE_LABEL
from modelyard.operator.pod_causes import find_pod_causes, find_reference
from modelyard.operator.refusal_causes import find_claim_cause, find_refusal
from modelyard.operator.scheduling_causes import find_scheduling_cause

__all__ = ["PRECEDENCE", "Cause", "ClusterSeen", "find_cause"]

PRECEDENCE = (
    # Nothing can run.
    "KubeRayNotInstalled",
    # Somebody has to create what is referred to; all that follows comes of it.
    "SecretNotFound",
    "SecretKeyNotFound",
    "ConfigMapNotFound",
    "InvalidServiceAccount",
    "StorageClassNotFound",
    "VolumeNotFound",
    # Pods are not even made.
    "QuotaExceeded",
    "AdmissionRefused",
    "AdmissionUnavailable",
    # What ended a pod says more than what its successor waits for.
    "OutOfMemory",
    "Evicted",
    # What a pod waits for.
    "ImagePullFailed",
    "ContainerNotStarted",
    "VolumePending",
    "VolumeNotMounted",
    "Unschedulable",
    # Symptoms, told only where nothing above is known.
    "CrashLoop",
    "InvalidManifest",
    "JobCrashed",
    "SubmissionFailed",
    "DeadlineExceeded",
    "JobLost",
)
"""All reasons; of several causes the first one here is told, of equal ones that of the head."""


@dataclass(frozen=True)
class ClusterSeen:
    """What the API tells about one RayJob or RayService. Only objects of its newest attempt count, whatever is given."""

    root: Document | None = None
    """The RayJob or RayService."""
    clusters: Sequence[Document] = ()
    """RayClusters of the namespace."""
    pods: Sequence[Document] = ()
    events: Sequence[Document] = ()
    """As `v1` has them: `involvedObject`, `message`. All types: a later normal one ends a warning."""
    claims: Sequence[Document] = ()
    """PersistentVolumeClaims of the namespace; those that the pods mount count."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Pod → the last lines of its log, where they were read."""
    missing_kinds: frozenset[str] = frozenset()
    """Kinds that the API server does not know: `RayJob`."""


def find_cause(seen: ClusterSeen) -> Cause | None:
    """The root cause, or None while nothing is known to be wrong, or nothing is any more."""
    causes = list(_find_all(seen))
    return min(causes, key=lambda cause: PRECEDENCE.index(cause.reason), default=None)


def _find_all(seen: ClusterSeen) -> Iterator[Cause]:
    if seen.missing_kinds:
        kinds = ", ".join(sorted(seen.missing_kinds))
        text = f"the API server does not know {kinds}; install KubeRay 1.6 or later with its CRDs"
        yield Cause("KubeRayNotInstalled", text, True, f"CustomResourceDefinition/{kinds}")
        return
    if seen.root is None or _is_done(seen.root):
        return
    clusters = _current_clusters(seen.root, seen.clusters)
    pods = _current_pods(seen.root, clusters, seen)
    ended = _has_ended(seen.root)
    for pod in pods:
        yield from find_pod_causes(pod, seen.logs.get(pod["metadata"]["name"], ""), ended=ended)
        if not _is_running(pod):
            yield from _find_in_pod_events(pod, seen.events)
    for document in clusters:
        yield from _find_refusals(document, seen.events, missing=not pods)
    yield from _find_refusals(seen.root, seen.events, missing=not clusters)
    mounted = {claim for pod in pods for claim in _claims_of(pod)}
    for claim in seen.claims:
        cause = find_claim_cause(claim, _newest_warning(claim, seen.events)) if claim["metadata"]["name"] in mounted else None
        if cause:
            yield cause
    yield from _find_in_root(seen.root)


def _current_clusters(root: Document, clusters: Sequence[Document]) -> list[Document]:
    """The newest RayCluster that belongs to this very RayJob or RayService, and to its attempt."""
    uid, attempt = root["metadata"].get("uid"), _attempt_of(root)
    own = [
        cluster
        for cluster in clusters
        if not cluster["metadata"].get("deletionTimestamp")
        and uid in {owner.get("uid") for owner in cluster["metadata"].get("ownerReferences") or []}
        and _attempt_of(cluster) in ("", attempt)
    ]
    named = [cluster for cluster in own if cluster["metadata"]["name"] == _cluster_name(root)]
    return named or sorted(own, key=lambda cluster: cluster["metadata"].get("creationTimestamp") or "")[-1:]


def _current_pods(root: Document, clusters: Sequence[Document], seen: ClusterSeen) -> list[Document]:
    """The pods of the current RayCluster that are not being deleted, the head first."""
    names = {cluster["metadata"]["name"] for cluster in clusters}
    if not seen.clusters:
        names = {_cluster_name(root)} - {""}
    pods = [
        pod
        for pod in seen.pods
        if not pod["metadata"].get("deletionTimestamp") and (pod["metadata"].get("labels") or {}).get(RAY_CLUSTER_LABEL) in names
    ]
    return sorted(pods, key=lambda pod: (pod["metadata"]["labels"].get(RAY_NODE_TYPE_LABEL) != "head", pod["metadata"]["name"]))


def _find_in_pod_events(pod: Document, events: Sequence[Document]) -> Iterator[Cause]:
    """What only events tell of a pod that does not run yet."""
    for event in _events_of(pod, events):
        message = event.get("message") or ""
        if event.get("reason") == "FailedScheduling" and not _is_scheduled(pod):
            yield find_scheduling_cause(pod, message)
        if event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            text = f"{name_of(pod)} cannot mount a volume: {shortened(message)}; see the volume's provisioner and the node"
            yield find_reference(pod, message) or Cause("VolumeNotMounted", text, True, name_of(pod))
        if event.get("reason") == "FailedCreatePodSandBox":
            text = f"the node cannot set up {name_of(pod)}: {shortened(message)}; see the node's network and runtime"
            yield Cause("ContainerNotStarted", text, True, name_of(pod))


def _find_refusals(document: Document, events: Sequence[Document], *, missing: bool) -> Iterator[Cause]:
    """Children that could not be created. A RayCluster's condition says so as long as it is so.

    missing: there are no children, so an event of what has no such conditions still counts.
    """
    conditions = {condition.get("type"): condition for condition in (document.get("status") or {}).get("conditions") or []}
    failure = conditions.get("ReplicaFailure") or {}
    if failure.get("status") == "True":
        told = failure.get("message") or ""
    else:
        told = _newest_warning(document, events) if missing and not conditions else ""
    cause = find_refusal(document, told)
    if cause:
        yield cause


def _find_in_root(root: Document) -> Iterator[Cause]:
    """What KubeRay itself says."""
    status, place = root.get("status") or {}, name_of(root)
    reason, message = status.get("reason") or "", status.get("message") or ""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("reason") == "ValidationFailed":
            reason, message = "ValidationFailed", condition.get("message") or ""
    if reason == "ValidationFailed":
        yield Cause("InvalidManifest", f"KubeRay refuses {place}: {shortened(message)}; correct the operator's settings", False, place)
    elif reason in ("DeadlineExceeded", "PreRunningDeadlineExceeded"):
        yield Cause("DeadlineExceeded", f"{place} took longer than it may; raise activeDeadlineSeconds, or ask for less", False, place)
    elif reason == "SubmissionFailed":
        yield Cause("SubmissionFailed", f"Ray did not take {place}: {shortened(message)}; it is tried again", True, place)
    elif reason in ("JobStatusCheckTimeoutExceeded", "JobDeploymentStatusTransitionGracePeriodExceeded"):
        yield Cause("JobLost", f"KubeRay heard no more of {place}: {shortened(message)}; it is tried again", True, place)
    elif reason == "AppFailed":
        yield _find_crash(place, message)


def _find_crash(place: str, message: str) -> Cause:
    if "OutOfMemoryError" in message or "running low on memory" in message:
        text = f"Ray killed a worker of {place} since its node ran low on memory; take a profile with more memory, or smaller batches"
        return Cause("OutOfMemory", text, False, place)
    code = re.search(r"exit code (-?\d+)", message)
    ended = f"{place} ended{f' with exit code {code[1]}' if code else ''}"
    killed = ", so it was killed, most likely for its memory" if code and code[1] in ("137", "-9") else ""
    said = last_line(message.partition("chars):")[2] or message)
    return Cause("JobCrashed", f"{ended}{killed}; its last line: {said}" if said else f"{ended}{killed}; see its log", True, place)


def _newest_warning(document: Document, events: Sequence[Document]) -> str:
    """The message of the newest event of an object if that is a warning: a later normal one says that it went on."""
    newest = next(reversed(_events_of(document, events)), {})
    # Kubernetes calls FailedBinding normal, though such a claim waits for ever.
    return (newest.get("message") or "") if newest.get("type") == "Warning" or newest.get("reason") == "FailedBinding" else ""


def _events_of(document: Document, events: Sequence[Document]) -> list[Document]:
    """The events of this very object, oldest first: a namesake has another uid."""
    uid = document["metadata"].get("uid")
    return sorted((event for event in events if (event.get("involvedObject") or {}).get("uid") == uid), key=_time_of)


def _time_of(event: Document) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _cluster_name(root: Document) -> str:
    """The RayCluster that is starting, else the one that runs."""
    status = root.get("status") or {}
    pending, active = (status.get(service) or {} for service in ("pendingServiceStatus", "activeServiceStatus"))
    return str(status.get("rayClusterName") or pending.get("rayClusterName") or active.get("rayClusterName") or "")


def _attempt_of(document: Document) -> str:
    return str((document["metadata"].get("annotations") or {}).get(ATTEMPT_ANNOTATION, ""))


def _has_ended(root: Document) -> bool:
    return (root.get("status") or {}).get("jobDeploymentStatus") in ("Failed", "Complete")


def _is_done(root: Document) -> bool:
    """Whether there is nothing to explain: it succeeded, is held on purpose or is being deleted."""
    status = root.get("status") or {}
    held = status.get("jobDeploymentStatus") in ("Suspended", "Suspending")
    return status.get("jobStatus") == "SUCCEEDED" or held or bool(root["metadata"].get("deletionTimestamp"))


def _claims_of(pod: Document) -> list[str]:
    volumes = (pod.get("spec") or {}).get("volumes") or []
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if volume.get("persistentVolumeClaim")]


def _is_running(pod: Document) -> bool:
    return bool((pod.get("status") or {}).get("phase") in ("Running", "Succeeded"))


def _is_scheduled(pod: Document) -> bool:
    return bool((pod.get("spec") or {}).get("nodeName"))
