"""Why no node takes a pod, in the words of the scheduler."""

import pytest
from tests.operator.cause_documents import WORKER, event, pod, seen, tell, unschedulable

from modelyard.operator.causes import ClusterSeen, find_cause

CASES = [
    pytest.param(
        seen(
            unschedulable(
                "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient "
                "nvidia.com/gpu. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims "
                "found for incoming pod."
            )
        ),
        "Unschedulable",
        f"no node takes Pod/{WORKER}: 1 of 3 have a taint that the pod does not tolerate,"
        " 2 of 3 have less free than the 8 nvidia.com/gpu it asks for;"
        " add a toleration to the profile, or ask for less in the profile or the workers, add nodes, or wait",
        True,
        id="too few GPUs, with how many",
    ),
    pytest.param(
        seen(unschedulable("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")),
        "Unschedulable",
        f"no node takes Pod/{WORKER}: 1 of 1 lack the labels that the profile asks for;"
        " correct the profile's nodeSelector, or label a node",
        True,
        id="no node has the profile's labels",
    ),
    pytest.param(
        seen(unschedulable("no nodes available to schedule pods")),
        "Unschedulable",
        f"no node takes Pod/{WORKER}: no nodes available to schedule pods; add nodes, or wait",
        True,
        id="a cluster without nodes",
    ),
    pytest.param(
        seen(unschedulable("0/2 nodes are available: 2 node(s) frobnicated.")),
        "Unschedulable",
        f"no node takes Pod/{WORKER}: 2 of 2 say 'node(s) frobnicated'; add nodes, or wait",
        True,
        id="words of the scheduler that nobody knows are passed on",
    ),
    pytest.param(
        seen(pod(), events=[event(pod(), "FailedScheduling", "0/1 nodes are available: 1 Insufficient memory.")]),
        "Unschedulable",
        f"no node takes Pod/{WORKER}: 1 of 1 have less free than the 64Gi memory it asks for;"
        " ask for less in the profile or the workers, add nodes, or wait",
        True,
        id="only an event tells that there is no room",
    ),
    pytest.param(
        seen(
            unschedulable("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are available.")
        ),
        "VolumePending",
        f"Pod/{WORKER} waits for a volume that is not bound yet; see `kubectl describe pvc`",
        True,
        id="a claim that is not bound yet",
    ),
    pytest.param(
        seen(unschedulable('0/2 nodes are available: persistentvolumeclaim "yard" not found. preemption: 0/2 nodes are available.')),
        "VolumeNotFound",
        f"Pod/{WORKER} mounts the PersistentVolumeClaim 'yard', which is not there; create it, or set volumeClaim.size",
        False,
        id="a claim that is missing",
    ),
]


@pytest.mark.parametrize(("given", "reason", "message", "retryable"), CASES)
def test_what_the_scheduler_tells_is_the_cause_with_its_remedy(given: ClusterSeen, reason: str, message: str, retryable: bool) -> None:
    assert tell(given) == (reason, message, retryable)


def test_long_words_of_others_are_cut() -> None:
    cause = find_cause(seen(unschedulable("word " * 200)))
    assert cause is not None
    assert len(cause.message) < 400
