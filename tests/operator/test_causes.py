"""Of all that the API tells, the root cause."""

import re
from pathlib import Path

import pytest
from tests.operator.cause_documents import (
    CRASH,
    GPUS,
    HEAD,
    MISSING,
    OOM,
    PULL,
    WORKER,
    cluster,
    ended,
    event,
    failed,
    job,
    newer,
    pod,
    refused,
    seen,
    tell,
    waiting,
)
from tests.operator.test_pod_causes import CASES as POD_CASES
from tests.operator.test_refusal_causes import CASES as REFUSAL_CASES
from tests.operator.test_scheduling_causes import CASES as SCHEDULING_CASES

from modelyard.operator.cause import Cause
from modelyard.operator.causes import PRECEDENCE, ClusterSeen, find_cause

CASES = [
    pytest.param(
        seen(missing_kinds=frozenset({"RayJob", "RayService"}), root=None, clusters=[]),
        "KubeRayNotInstalled",
        "the API server does not know RayJob, RayService; install KubeRay 1.6 or later with its CRDs",
        True,
        id="KubeRay's CRDs are missing",
    ),
    pytest.param(
        seen(
            waiting("ContainerCreating"),
            events=[event(pod(HEAD), "FailedMount", 'MountVolume.SetUp failed for volume "token" : secret "ray" not found')],
        ),
        "SecretNotFound",
        f"Pod/{HEAD} wants the Secret 'ray', which is not there; create it in namespace 'team'",
        False,
        id="a Secret to be mounted that is missing",
    ),
    pytest.param(
        seen(
            waiting("ContainerCreating"),
            events=[event(pod(HEAD), "FailedMount", 'MountVolume.SetUp failed for volume "t" : references non-existent secret key: token')],
        ),
        "SecretKeyNotFound",
        f"Pod/{HEAD} wants the key 'token' of its Secret, which has none; add it, or correct secretEnvironment in the operator's settings",
        False,
        id="a Secret to be mounted without the key",
    ),
    pytest.param(
        seen(
            waiting("ContainerCreating"),
            events=[event(pod(HEAD), "FailedMount", 'MountVolume.SetUp failed for volume "yard" : mount failed: exit status 32')],
        ),
        "VolumeNotMounted",
        f'Pod/{HEAD} cannot mount a volume: MountVolume.SetUp failed for volume "yard" : mount failed: exit status 32;'
        " see the volume's provisioner and the node",
        True,
        id="a volume that cannot be mounted",
    ),
    pytest.param(
        seen(
            waiting("ContainerCreating"),
            events=[event(pod(HEAD), "FailedCreatePodSandBox", "plugin type=bridge failed: no IP addresses available")],
        ),
        "ContainerNotStarted",
        f"the node cannot set up Pod/{HEAD}: plugin type=bridge failed: no IP addresses available; see the node's network and runtime",
        True,
        id="a node without addresses",
    ),
    pytest.param(
        seen(root=failed("DeadlineExceeded", "The RayJob has passed the activeDeadlineSeconds. StartTime: x. ActiveDeadlineSeconds: 60")),
        "DeadlineExceeded",
        "RayJob/train-1 took longer than it may; raise activeDeadlineSeconds, or ask for less",
        False,
        id="a job over its deadline",
    ),
    pytest.param(
        seen(
            root=failed(
                "AppFailed",
                "Job entrypoint command failed with exit code 3, last available logs (truncated to 20,000 chars):\n"
                "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n",
            )
        ),
        "JobCrashed",
        "RayJob/train-1 ended with exit code 3; its last line: OSError: [Errno 28] No space left on device",
        True,
        id="a job that crashed, with its last line",
    ),
    pytest.param(
        seen(
            root=failed(
                "AppFailed", "Job entrypoint command failed with exit code -9, last available logs (truncated to 20,000 chars):\nstep 12\n"
            )
        ),
        "JobCrashed",
        "RayJob/train-1 ended with exit code -9, so it was killed, most likely for its memory; its last line: step 12",
        True,
        id="a job that was killed",
    ),
    pytest.param(
        seen(root=failed("AppFailed", "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.")),
        "OutOfMemory",
        "Ray killed a worker of RayJob/train-1 since its node ran low on memory; take a profile with more memory, or smaller batches",
        False,
        id="Ray itself ran out of memory",
    ),
    pytest.param(
        seen(root=failed("JobStatusCheckTimeoutExceeded", "Job status checks have been failing since x; exceeded timeout of 300s")),
        "JobLost",
        "KubeRay heard no more of RayJob/train-1: Job status checks have been failing since x; exceeded timeout of 300s; it is tried again",
        True,
        id="a head that no longer answers",
    ),
    pytest.param(
        seen(root=failed("SubmissionFailed", "Job submission has failed. Reason: BackoffLimitExceeded.")),
        "SubmissionFailed",
        "Ray did not take RayJob/train-1: Job submission has failed. Reason: BackoffLimitExceeded.; it is tried again",
        True,
        id="a head that does not take the job",
    ),
    pytest.param(
        seen(
            root=job(jobDeploymentStatus="ValidationFailed", reason="ValidationFailed", message="The RayJob spec is invalid: x"),
            clusters=[],
        ),
        "InvalidManifest",
        "KubeRay refuses RayJob/train-1: The RayJob spec is invalid: x; correct the operator's settings",
        False,
        id="a manifest that KubeRay refuses",
    ),
]


@pytest.mark.parametrize(("given", "reason", "message", "retryable"), CASES)
def test_what_kuberay_and_events_tell_is_the_cause_with_its_remedy(given: ClusterSeen, reason: str, message: str, retryable: bool) -> None:
    assert tell(given) == (reason, message, retryable)


def test_every_reason_has_its_place_and_a_case() -> None:
    told = {case.values[1] for case in (*CASES, *POD_CASES, *REFUSAL_CASES, *SCHEDULING_CASES)}
    assert told == set(PRECEDENCE)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(seen(GPUS, MISSING), "SecretNotFound", id="what somebody has to create before what may come by itself"),
        pytest.param(seen(CRASH, PULL), "ImagePullFailed", id="workers crash while their head has no image"),
        pytest.param(seen(GPUS, ended(**OOM)), "OutOfMemory", id="what ended a pod before what its successor waits for"),
        pytest.param(seen(CRASH, GPUS), "Unschedulable", id="workers crash while others find no node"),
        pytest.param(
            seen(ended(exitCode=1, reason="Error"), root=failed("AppFailed", "failed with exit code 1")),
            "CrashLoop",
            id="the container before the job that ran in it",
        ),
        pytest.param(seen(GPUS, root=failed("DeadlineExceeded", "")), "Unschedulable", id="what a job waited for until its deadline"),
        pytest.param(
            seen(PULL, clusters=[refused('pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1')]),
            "QuotaExceeded",
            id="pods that are not even made before one that is",
        ),
    ],
)
def test_of_several_causes_the_root_is_told(given: ClusterSeen, reason: str) -> None:
    cause = find_cause(given)
    assert cause is not None
    assert cause.reason == reason


def test_of_equal_causes_that_of_the_head_is_told() -> None:
    cause = find_cause(seen(waiting("ErrImagePull", "not found", name=WORKER), PULL))
    assert cause is not None
    assert cause.object == f"Pod/{HEAD}"


@pytest.mark.parametrize("place", ["pendingServiceStatus", "activeServiceStatus"])
def test_a_service_tells_by_the_cluster_that_starts_or_runs(place: str) -> None:
    service = {
        "kind": "RayService",
        "metadata": {"name": "modelyard", "namespace": "team", "uid": "job-uid"},
        "status": {place: {"rayClusterName": "train-1-abcde"}},
    }
    cause = find_cause(ClusterSeen(root=service, clusters=[newer(cluster(), annotations={})], pods=[GPUS]))
    assert cause == Cause(
        "Unschedulable",
        f"no node takes Pod/{WORKER}: 1 of 1 have less free than the 8 nvidia.com/gpu it asks for;"
        " ask for less in the profile or the workers, add nodes, or wait",
        True,
        f"Pod/{WORKER}",
    )


def test_a_service_that_kuberay_refuses_says_so() -> None:
    condition = {"type": "Ready", "status": "False", "reason": "ValidationFailed", "message": "The RayService spec is invalid: x"}
    service = {"kind": "RayService", "metadata": {"name": "modelyard", "uid": "u"}, "status": {"conditions": [condition]}}
    cause = find_cause(ClusterSeen(root=service))
    assert cause is not None
    assert (cause.reason, cause.object) == ("InvalidManifest", "RayService/modelyard")


def test_the_operations_page_tells_of_every_reason_in_order_of_precedence() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = page.partition("## Conditions and reasons: why a job waits or failed")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == PRECEDENCE
