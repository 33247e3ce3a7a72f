"""Why the scheduler finds no node for a pod, in a person's words. Pure."""

import re
from collections.abc import Mapping

from modelyard.operator.cause import Cause, Document, name_of, shortened

SUMMARY = re.compile(r"^\d+/(\d+) nodes? (?:is|are) available: (.*?)\.?(?: preemption: .*)?$", re.DOTALL)
PART = re.compile(r"^(\d+) (.*)$", re.DOTALL)
INSUFFICIENT = re.compile(r"^Insufficient (\S+)$")

WORDS = {
    "node(s) had untolerated taint": ("have a taint that the pod does not tolerate", "add a toleration to the profile"),
    "node(s) didn't match Pod's node affinity/selector": (
        "lack the labels that the profile asks for",
        "correct the profile's nodeSelector, or label a node",
    ),
    "node(s) were unschedulable": ("are cordoned", "uncordon a node"),
    "Too many pods": ("are full of pods", "add nodes"),
    "node(s) had volume node affinity conflict": ("cannot reach the volume", "take a storageClass that all nodes reach"),
}
"""The scheduler's words → words for people after a number of nodes, and the remedy."""


def find_scheduling_cause(pod: Document, message: str) -> Cause:
    """Of a pod that no node takes. message: the scheduler's, from the pod's condition or its event."""
    claim = re.search(r'persistentvolumeclaim "([^"]+)" not found', message)
    if claim:
        text = f"{name_of(pod)} mounts the PersistentVolumeClaim {claim[1]!r}, which is not there; create it, or set volumeClaim.size"
        return Cause("VolumeNotFound", text, False, name_of(pod))
    if re.search(r"unbound immediate PersistentVolumeClaims|didn't find available persistent volumes", message):
        text = f"{name_of(pod)} waits for a volume that is not bound yet; see `kubectl describe pvc`"
        return Cause("VolumePending", text, True, name_of(pod))
    return Cause("Unschedulable", f"no node takes {name_of(pod)}: {_explain(pod, message)}", True, name_of(pod))


def _explain(pod: Document, message: str) -> str:
    summary = SUMMARY.match(" ".join(message.split()))
    if summary is None:
        return f"{shortened(message) or 'the scheduler gives no reason'}; add nodes, or wait"
    total, problems, remedies = int(summary[1]), [], []
    for part in re.split(r", (?=\d+ )", summary[2]):
        counted = PART.match(part)
        if counted is None:
            problems.append(shortened(part))
            continue
        problem, remedy = _say(counted[2].rstrip(". "), _requests_of(pod))
        problems.append(f"{counted[1]} of {total} {problem}")
        remedies.append(remedy)
    return f"{', '.join(problems)}; {', or '.join(dict.fromkeys(remedies)) or 'add nodes, or wait'}"


def _say(words: str, requests: Mapping[str, str]) -> tuple[str, str]:
    lacking = INSUFFICIENT.match(words)
    if lacking:
        amount = f"the {requests[lacking[1]]} " if lacking[1] in requests else ""
        return f"have less free than {amount}{lacking[1]} it asks for", "ask for less in the profile or the workers, add nodes, or wait"
    for start, answer in WORDS.items():
        if words.startswith(start):
            return answer
    return f"say {shortened(words)!r}", "add nodes, or wait"


def _requests_of(pod: Document) -> dict[str, str]:
    """What a pod reserves, where one container alone reserves it."""
    amounts: dict[str, list[str]] = {}
    for container in pod.get("spec", {}).get("containers", []):
        resources = container.get("resources") or {}
        for name, amount in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            amounts.setdefault(name, []).append(str(amount))
    return {name: each[0] for name, each in amounts.items() if len(each) == 1}
