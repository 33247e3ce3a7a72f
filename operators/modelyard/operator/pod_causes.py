"""Why a pod does not run, from its own status. Pure."""

import re
from collections.abc import Iterator

from modelyard.operator.cause import Cause, Document, last_line, name_of, shortened
from modelyard.operator.scheduling_causes import find_scheduling_cause

PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"}
START_REASONS = {"CreateContainerError", "RunContainerError", "CreateContainerConfigError", "StartError", "ContainerCannotRun"}
DISRUPTIONS = {"PreemptionByScheduler", "DeletionByTaintManager", "EvictionByEvictionAPI", "TerminationByKubelet", "DeletionByPodGC"}
LOST_REASONS = {"Evicted", "Preempted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"}


def find_pod_causes(pod: Document, log: str, *, ended: bool) -> Iterator[Cause]:
    """All that is wrong with a pod. log: its last lines.

    ended: what the pod is for has ended: then a container that was started anew counts by how it ended before.
    """
    status = pod.get("status") or {}
    yield from _find_loss(pod)
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False" and condition.get("reason") == "Unschedulable":
            yield find_scheduling_cause(pod, condition.get("message") or "")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        if "waiting" in state:
            yield from _find_waiting(pod, container)
        over = state.get("terminated") or ((container.get("lastState") or {}).get("terminated") if ended or "waiting" in state else None)
        if over:
            yield from _find_end(pod, container, over, log, again="terminated" not in state)


def _find_loss(pod: Document) -> Iterator[Cause]:
    """What Kubernetes did to a pod that it took away."""
    status, place = pod.get("status") or {}, name_of(pod)
    reason, message = status.get("reason") or "", status.get("message") or ""
    if reason.startswith(("OutOf", "UnexpectedAdmissionError")):
        text = f"the node refused {place}: {shortened(message or reason)}; it is tried again on another"
        yield Cause("Unschedulable", text, True, place)
    elif reason == "DeadlineExceeded":
        yield Cause("DeadlineExceeded", f"{place} was active longer than it may; raise activeDeadlineSeconds", False, place)
    elif reason in LOST_REASONS:
        yield Cause("Evicted", f"{place} was taken from its node: {shortened(message or reason)}; {_say_room(message)}", True, place)
    else:
        for condition in status.get("conditions") or []:
            if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True" and condition.get("reason") in DISRUPTIONS:
                words = shortened(condition.get("message") or condition["reason"])
                yield Cause("Evicted", f"{place} was taken from its node: {words}; {_say_room(words)}", True, place)


def _say_room(message: str) -> str:
    scarce = re.search(r"low on resource: (\S+?)\.", message)
    return f"ask for enough {scarce[1]} in the profile, or add nodes" if scarce else "it is tried again"


def _find_waiting(pod: Document, container: Document) -> Iterator[Cause]:
    waiting = container["state"]["waiting"]
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in PULL_REASONS:
        yield _find_pull(pod, container.get("image") or "", reason, message)
    elif reason in START_REASONS:
        yield find_reference(pod, message) or Cause(
            "ContainerNotStarted",
            f"container {container['name']} of {name_of(pod)} cannot be started: {shortened(message or reason)};"
            " correct the image or the settings",
            False,
            name_of(pod),
        )


def find_reference(pod: Document, message: str) -> Cause | None:
    """A Secret or ConfigMap, or a key in one, that a pod refers to in vain; None if the words are of something else."""
    place = name_of(pod)
    key = re.search(
        r"(?:couldn't find key|references non-existent (?:secret|config) key:?) (\S+)(?: in (Secret|ConfigMap) \S*?([^/\s]+))?$", message
    )
    if key:
        where = f"the {key[2]} {key[3]!r}" if key[2] else "its Secret"
        text = (
            f"{place} wants the key {key[1]!r} of {where}, which has none; add it, or correct secretEnvironment in the operator's settings"
        )
        return Cause("SecretKeyNotFound" if key[2] != "ConfigMap" else "ConfigMapNotFound", text, False, place)
    missing = re.search(r'(secret|configmap)s? "([^"]+)" not found', message)
    if missing:
        kind = "Secret" if missing[1] == "secret" else "ConfigMap"
        text = (
            f"{place} wants the {kind} {missing[2]!r}, which is not there; create it in namespace {pod['metadata'].get('namespace', '')!r}"
        )
        return Cause(f"{kind}NotFound", text, False, place)
    return None


def _find_pull(pod: Document, image: str, reason: str, message: str) -> Cause:
    named = re.search(r'image "([^"]+)"', message)
    what = f"the image {named[1] if named else image} of {name_of(pod)} cannot be pulled"
    retryable = False
    if reason == "InvalidImageName":
        words = "its name is not valid; correct image in the operator's settings"
    elif reason == "ErrImageNeverPull":
        words = "the node does not have it and imagePullPolicy is Never; load it on the node, or set another policy"
    elif re.search(r"unauthorized|denied|authentication required|forbidden|\b401\b|\b403\b", message, re.IGNORECASE):
        words = "the registry refuses access; set imagePullSecrets in the operator's settings, and check the name"
    elif re.search(r"not found|manifest unknown|no such image|does not exist", message, re.IGNORECASE):
        words = "the registry does not have it; correct image in the operator's settings, or push it"
    else:
        words, retryable = f"{shortened(message or reason)}; see that the node reaches the registry", True
    return Cause("ImagePullFailed", f"{what}: {words}", retryable, name_of(pod))


def _find_end(pod: Document, container: Document, over: Document, log: str, *, again: bool) -> Iterator[Cause]:
    """How a container ended. again: it was or will be started anew."""
    code, place = over.get("exitCode", 0), name_of(pod)
    if over.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, container["name"])
        text = f"container {container['name']} of {place} needed more memory than its limit{f' of {limit}' if limit else ''}"
        yield Cause("OutOfMemory", f"{text}; take a profile with more memory, or smaller batches", False, place)
    elif code:
        said = last_line(over.get("message") or "") or last_line(log)
        text = f"container {container['name']} of {place} ended with exit code {code}{' and is started again' if again else ''}"
        yield Cause("CrashLoop", f"{text}; {f'its last line: {said}' if said else 'see `kubectl logs --previous`'}", True, place)


def _memory_limit(pod: Document, container: str) -> str:
    for spec in pod.get("spec", {}).get("containers", []):
        if spec["name"] == container:
            return str(((spec.get("resources") or {}).get("limits") or {}).get("memory", ""))
    return ""
