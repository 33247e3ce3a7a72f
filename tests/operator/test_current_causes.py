"""What is well, over, or another's is no cause: only what belongs to the newest attempt counts."""

import pytest
from tests.operator.cause_documents import GPUS, HEAD, MISSING, OOM, PULL, claim, cluster, ended, event, job, newer, pod, seen, waiting

from modelyard.operator.causes import ClusterSeen, find_cause

RUNNING = pod(
    HEAD,
    phase="Running",
    containerStatuses=[{"name": "ray-head", "ready": True, "state": {"running": {}}, "lastState": {"terminated": OOM}}],
)
LATE = "2026-11-24T13:00:00Z"


REFUSED = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
WITH_HEAD = cluster(conditions=[{"type": "HeadPodReady", "status": "True", "reason": "HeadPodRunningAndReady", "message": ""}])


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(seen(root=None, clusters=[]), id="nothing was made yet"),
        pytest.param(seen(pod()), id="a pod that was just made"),
        pytest.param(seen(waiting("ContainerCreating")), id="a container that is being made"),
        pytest.param(seen(waiting("PodInitializing")), id="a worker that waits for its head"),
        pytest.param(seen(RUNNING), id="a container that ran out of memory, and runs again"),
        pytest.param(seen(ended(exitCode=0, reason="Completed")), id="a container that ended well"),
        pytest.param(seen(GPUS, root=job(jobStatus="SUCCEEDED", jobDeploymentStatus="Complete")), id="a job that succeeded"),
        pytest.param(seen(GPUS, root=job(jobDeploymentStatus="Suspended")), id="a job that is held on purpose"),
        pytest.param(seen(newer(MISSING, deletionTimestamp=LATE)), id="a pod that is being deleted"),
        pytest.param(seen(GPUS, root=newer(job(), deletionTimestamp=LATE)), id="a job that is being deleted"),
        pytest.param(
            seen(waiting("ErrImagePull", "not found") | {"metadata": pod(of="train-1-old")["metadata"]}), id="another cluster's pod"
        ),
        pytest.param(
            seen(MISSING, root=job(uid="new-uid", rayClusterName=""), clusters=[cluster()]),
            id="a cluster of an earlier job of that name",
        ),
        pytest.param(seen(MISSING, clusters=[newer(cluster(), deletionTimestamp=LATE)]), id="a cluster that is being deleted"),
        pytest.param(
            seen(MISSING, root=job(attempt=2, rayClusterName=""), clusters=[cluster(attempt=1)]), id="a cluster of an earlier attempt"
        ),
        pytest.param(
            seen(pod(), events=[event(newer(pod(), uid="old-uid"), "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.")]),
            id="an event of an earlier pod of that name",
        ),
        pytest.param(
            seen(RUNNING, events=[event(RUNNING, "FailedMount", "MountVolume.SetUp failed")]), id="a mount that failed at first, and works"
        ),
        pytest.param(
            seen(
                newer(pod(), uid="w") | {"spec": {"nodeName": "n", "containers": []}},
                events=[event(newer(pod(), uid="w"), "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.")],
            ),
            id="a pod that found its node after all",
        ),
        pytest.param(
            seen(
                events=[
                    event(cluster(), "FailedToCreateHeadPod", REFUSED),
                    event(cluster(), "CreatedHeadPod", "Created head Pod team/x", type="Normal", at="12:05:00"),
                ]
            ),
            id="a quota that had room later",
        ),
        pytest.param(
            seen(pod(), claims=[claim("Bound")], events=[event(claim(), "ProvisioningFailed", "rpc error")]), id="a volume that came later"
        ),
        pytest.param(
            seen(pod() | {"spec": {}}, claims=[claim()], events=[event(claim(), "ProvisioningFailed", "rpc error")]),
            id="a volume that others wait for",
        ),
        pytest.param(seen(pod(), events=[event(cluster(), "FailedToCreateHeadPod", REFUSED)]), id="a quota that has room by now"),
        pytest.param(
            seen(clusters=[WITH_HEAD], events=[event(WITH_HEAD, "FailedToCreateHeadPod", REFUSED)]),
            id="a quota that no condition tells of any more",
        ),
        pytest.param(seen(events=[event(job(), "FailedToCreateRayCluster", REFUSED)]), id="a cluster that was made at the second try"),
        pytest.param(
            seen(pod(), claims=[claim()], events=[event(claim(), "WaitForFirstConsumer", "waiting for first consumer", type="Normal")]),
            id="a volume that waits for its pod",
        ),
    ],
)
def test_what_is_well_or_over_is_no_cause(given: ClusterSeen) -> None:
    assert find_cause(given) is None


def test_the_newest_cluster_counts_before_its_name_is_known() -> None:
    old, new = cluster("train-1-old"), newer(cluster("train-1-new"), creationTimestamp=LATE)
    pods = [pod(HEAD, of="train-1-old"), waiting("ErrImagePull", "not found") | {"metadata": pod(HEAD, of="train-1-new")["metadata"]}]
    cause = find_cause(seen(*pods, root=job(rayClusterName=""), clusters=[new, old]))
    assert cause is not None
    assert cause.reason == "ImagePullFailed"


def test_the_cluster_that_is_named_counts_though_another_is_newer() -> None:
    cause = find_cause(seen(PULL, clusters=[cluster(), newer(cluster("train-1-other"), creationTimestamp=LATE)]))
    assert cause is not None
    assert cause.object == f"Pod/{HEAD}"


def test_the_pods_of_a_cluster_that_is_named_count_without_the_cluster() -> None:
    other = waiting("ErrImagePull", "not found") | {"metadata": pod(of="train-1-other")["metadata"]}
    cause = find_cause(seen(other, PULL, clusters=[]))
    assert cause is not None
    assert cause.object == f"Pod/{HEAD}"
