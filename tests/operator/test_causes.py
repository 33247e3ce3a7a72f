"""Root causes, from documents as the API gives them."""

import re
from pathlib import Path
from typing import Any

import pytest

from modelyard.operator.cause import Cause
from modelyard.operator.causes import PRECEDENCE, ClusterSeen, find_cause

Document = dict[str, Any]

HEAD, WORKER = "train-1-abcde-head-x1", "train-1-abcde-gpu-worker-y1"


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


OOM = {"reason": "OOMKilled", "exitCode": 137, "startedAt": "2026-11-24T12:00:00Z", "finishedAt": "2026-11-24T12:03:00Z"}

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
            waiting(
                "ErrImagePull",
                'failed to pull and unpack image "docker.io/library/yard:1": failed to resolve reference "docker.io/library/yard:1": '
                "docker.io/library/yard:1: not found",
            )
        ),
        "ImagePullFailed",
        f"the image docker.io/library/yard:1 of Pod/{HEAD} cannot be pulled: the registry does not have it;"
        " correct image in the operator's settings, or push it",
        False,
        id="an image that does not exist",
    ),
    pytest.param(
        seen(
            waiting(
                "ImagePullBackOff",
                'Back-off pulling image "ghcr.io/org/yard:1": ErrImagePull: failed to pull and unpack image'
                ' "ghcr.io/org/yard:1": failed to '
                "authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
            )
        ),
        "ImagePullFailed",
        f"the image ghcr.io/org/yard:1 of Pod/{HEAD} cannot be pulled: the registry refuses access;"
        " set imagePullSecrets in the operator's settings, and check the name",
        False,
        id="an image that wants a login",
    ),
    pytest.param(
        seen(waiting("ErrImagePull", 'failed to pull image "yard:1": dial tcp: lookup registry.local: no such host')),
        "ImagePullFailed",
        f'the image yard:1 of Pod/{HEAD} cannot be pulled: failed to pull image "yard:1": dial tcp: lookup registry.local: no such host;'
        " see that the node reaches the registry",
        True,
        id="a registry that does not answer may come back",
    ),
    pytest.param(
        seen(waiting("InvalidImageName", 'Failed to apply default image tag "yard::1": couldn\'t parse image name "yard::1"')),
        "ImagePullFailed",
        f"the image yard:1 of Pod/{HEAD} cannot be pulled: its name is not valid; correct image in the operator's settings",
        False,
        id="an image name that is none",
    ),
    pytest.param(
        seen(waiting("ErrImageNeverPull", 'Container image "yard:2" is not present with pull policy of Never')),
        "ImagePullFailed",
        f"the image yard:2 of Pod/{HEAD} cannot be pulled: the node does not have it and imagePullPolicy is Never;"
        " load it on the node, or set another policy",
        False,
        id="an image that the node lacks and may not pull",
    ),
    pytest.param(
        seen(waiting("CreateContainerConfigError", 'secret "hub" not found')),
        "SecretNotFound",
        f"Pod/{HEAD} wants the Secret 'hub', which is not there; create it in namespace 'team'",
        False,
        id="a Secret that is missing",
    ),
    pytest.param(
        seen(waiting("CreateContainerConfigError", "couldn't find key token in Secret team/hub")),
        "SecretKeyNotFound",
        f"Pod/{HEAD} wants the key 'token' of the Secret 'hub', which has none;"
        " add it, or correct secretEnvironment in the operator's settings",
        False,
        id="a Secret without the key",
    ),
    pytest.param(
        seen(waiting("CreateContainerConfigError", 'configmap "settings" not found')),
        "ConfigMapNotFound",
        f"Pod/{HEAD} wants the ConfigMap 'settings', which is not there; create it in namespace 'team'",
        False,
        id="a ConfigMap that is missing",
    ),
    pytest.param(
        seen(waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")),
        "ContainerNotStarted",
        f"container ray-head of Pod/{HEAD} cannot be started: container has runAsNonRoot and image will run as root;"
        " correct the image or the settings",
        False,
        id="an image that wants to be root",
    ),
    pytest.param(
        seen(ended(**OOM), root=failed("AppFailed", "Job supervisor actor died: head node died")),
        "OutOfMemory",
        f"container ray-head of Pod/{HEAD} needed more memory than its limit of 64Gi; take a profile with more memory, or smaller batches",
        False,
        id="a container over its memory limit",
    ),
    pytest.param(
        seen(waiting("CrashLoopBackOff", "back-off 40s restarting failed container", last=OOM)),
        "OutOfMemory",
        f"container ray-head of Pod/{HEAD} needed more memory than its limit of 64Gi; take a profile with more memory, or smaller batches",
        False,
        id="a container that is over its limit again and again is no mere crash",
    ),
    pytest.param(
        seen(
            pod(
                HEAD,
                phase="Running",
                containerStatuses=[{"name": "ray-head", "ready": True, "state": {"running": {}}, "lastState": {"terminated": OOM}}],
            ),
            root=failed("AppFailed", "Job supervisor actor died"),
        ),
        "OutOfMemory",
        f"container ray-head of Pod/{HEAD} needed more memory than its limit of 64Gi; take a profile with more memory, or smaller batches",
        False,
        id="a job that ended with a container that runs again by now",
    ),
    pytest.param(
        seen(
            waiting("CrashLoopBackOff", "back-off 20s restarting failed container", last={"reason": "Error", "exitCode": 1}),
            logs={HEAD: "starting\nModuleNotFoundError: No module named 'modelyard'\n\n"},
        ),
        "CrashLoop",
        f"container ray-head of Pod/{HEAD} ended with exit code 1 and is started again;"
        " its last line: ModuleNotFoundError: No module named 'modelyard'",
        True,
        id="a container that crashes again and again, with its last line",
    ),
    pytest.param(
        seen(waiting("CrashLoopBackOff", "back-off", last={"reason": "Error", "exitCode": 2})),
        "CrashLoop",
        f"container ray-head of Pod/{HEAD} ended with exit code 2 and is started again; see `kubectl logs --previous`",
        True,
        id="a crash whose log was not read",
    ),
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
            pod(phase="Failed", reason="OutOfnvidia.com/gpu", message="Pod was rejected: Node didn't have enough resource: nvidia.com/gpu")
        ),
        "Unschedulable",
        f"the node refused Pod/{WORKER}: Pod was rejected: Node didn't have enough resource: nvidia.com/gpu; it is tried again on another",
        True,
        id="the node itself finds no room",
    ),
    pytest.param(
        seen(
            clusters=[
                refused(
                    'failed to create head pod: pods "train-1-abcde-head-x1" is forbidden: exceeded quota: gpus, requested: '
                    "requests.nvidia.com/gpu=8, used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=8"
                )
            ]
        ),
        "QuotaExceeded",
        "the ResourceQuota 'gpus' has no room for 8 nvidia.com/gpu more than the 4 of 8 in use; ask for"
        " less, wait, or have the quota raised",
        True,
        id="a quota that is used up, with the figures",
    ),
    pytest.param(
        seen(
            clusters=[
                refused(
                    'pods "x" is forbidden: exceeded quota: all, requested: limits.memory=64Gi,pods=1, used: limits.memory=8Gi,pods=2, '
                    "limited: limits.memory=32Gi,pods=2"
                )
            ]
        ),
        "QuotaExceeded",
        "the ResourceQuota 'all' has no room for 64Gi limits.memory more than the 8Gi of 32Gi in use, and 1"
        " pods more than the 2 of 2 in use;"
        " ask for less, wait, or have the quota raised",
        True,
        id="a quota that is short of two things",
    ),
    pytest.param(
        seen(clusters=[refused('pods "x" is forbidden: failed quota: all: must specify limits.memory for: ray-head')]),
        "QuotaExceeded",
        "the ResourceQuota 'all' wants pods to state limits.memory; add it to the profile's limits and to headLimits",
        False,
        id="a quota that wants a limit which nobody states",
    ),
    pytest.param(
        seen(
            clusters=[cluster()],
            events=[
                event(
                    cluster(),
                    "FailedToCreateWorkerPod",
                    'Failed to create worker Pod for the cluster team/train-1-abcde, pods "y" is forbidden: exceeded'
                    " quota: gpus, requested: "
                    "requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8",
                )
            ],
        ),
        "QuotaExceeded",
        "the ResourceQuota 'gpus' has no room for 1 nvidia.com/gpu more than the 8 of 8 in use; ask for"
        " less, wait, or have the quota raised",
        True,
        id="only an event tells of the quota",
    ),
    pytest.param(
        seen(
            clusters=[
                refused(
                    'pods "x" is forbidden: error looking up service account team/modelyard-jobs: serviceaccount "modelyard-jobs" not found'
                )
            ]
        ),
        "InvalidServiceAccount",
        "pods of RayCluster/train-1-abcde run as ServiceAccount 'modelyard-jobs', which is not there;"
        " create it, or correct serviceAccount in the operator's settings",
        False,
        id="an account that is missing",
    ),
    pytest.param(
        seen(
            clusters=[
                refused('admission webhook "validate.kyverno.svc-fail" denied the request: only images of registry.example are allowed')
            ]
        ),
        "AdmissionRefused",
        "the admission webhook 'validate.kyverno.svc-fail' refuses pods of RayCluster/train-1-abcde:"
        " only images of registry.example are allowed; change what it asks for in the profile, or have the policy changed",
        False,
        id="a webhook that says no",
    ),
    pytest.param(
        seen(
            clusters=[
                refused(
                    "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'images' denied request: use registry.example"
                )
            ]
        ),
        "AdmissionRefused",
        "the ValidatingAdmissionPolicy 'images' refuses pods of RayCluster/train-1-abcde: use registry.example;"
        " change what it asks for in the profile, or have the policy changed",
        False,
        id="a policy that says no",
    ),
    pytest.param(
        seen(
            clusters=[
                refused(
                    'pods "x" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities'
                    ' (container "autoscaler" must '
                    'set securityContext.capabilities.drop=["ALL"])'
                )
            ]
        ),
        "AdmissionRefused",
        "the Pod Security Standard 'restricted:latest' refuses pods of RayCluster/train-1-abcde: unrestricted capabilities"
        ' (container "autoscaler" must set securityContext.capabilities.drop=["ALL"]);'
        " change what it asks for in the profile, or have the policy changed",
        False,
        id="a namespace with stricter pod security",
    ),
    pytest.param(
        seen(clusters=[refused('pods "x" is forbidden: maximum memory usage per Container is 32Gi, but limit is 64Gi')]),
        "AdmissionRefused",
        "a LimitRange refuses pods of RayCluster/train-1-abcde: maximum memory usage per Container is 32Gi, but limit is 64Gi;"
        " change the profile's limits, or have the LimitRange changed",
        False,
        id="a LimitRange that is smaller",
    ),
    pytest.param(
        seen(
            clusters=[
                refused(
                    'Internal error occurred: failed calling webhook "mpod.kb.io": failed to call webhook: Post "https://x": dial tcp '
                    "10.96.0.9:443: connect: connection refused"
                )
            ]
        ),
        "AdmissionUnavailable",
        "the admission webhook 'mpod.kb.io' does not answer: failed to call webhook: Post \"https://x\": dial tcp 10.96.0.9:443: connect:"
        " connection refused; see why its pods do not run",
        True,
        id="a webhook that does not answer",
    ),
    pytest.param(
        seen(
            unschedulable("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"),
            claims=[claim()],
            events=[event(claim(), "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')],
        ),
        "StorageClassNotFound",
        "PersistentVolumeClaim/yard asks for the StorageClass 'fast', which is not there; take one of `kubectl get storageclass`",
        False,
        id="a StorageClass that is missing is the root of a pod without a node",
    ),
    pytest.param(
        seen(
            pod(),
            claims=[claim()],
            events=[
                event(claim(), "FailedBinding", "no persistent volumes available for this claim and no storage class is set", type="Normal")
            ],
        ),
        "StorageClassNotFound",
        "PersistentVolumeClaim/yard names no StorageClass and the cluster has no default one; set volumeClaim.storageClass",
        False,
        id="a cluster without a default StorageClass",
    ),
    pytest.param(
        seen(
            pod(),
            claims=[claim()],
            events=[event(claim(), "ProvisioningFailed", "rpc error: code = ResourceExhausted desc = pool is full")],
        ),
        "VolumePending",
        "PersistentVolumeClaim/yard gets no volume: rpc error: code = ResourceExhausted desc = pool is full; see its provisioner",
        True,
        id="a provisioner that fails",
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
    pytest.param(
        seen(pod(), claims=[claim("Lost")]),
        "VolumeNotFound",
        "the volume of PersistentVolumeClaim/yard was deleted; restore it, or create the claim anew",
        False,
        id="a volume that was deleted under its claim",
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
        seen(
            pod(
                phase="Failed",
                reason="Evicted",
                message="The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 2Gi. ",
            )
        ),
        "Evicted",
        f"Pod/{WORKER} was taken from its node: The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 2Gi.;"
        " ask for enough ephemeral-storage in the profile, or add nodes",
        True,
        id="a node that ran out of disk",
    ),
    pytest.param(
        seen(
            pod(
                phase="Failed",
                conditions=[
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "PreemptionByScheduler",
                        "message": "default-scheduler: preempting to accommodate a higher priority pod",
                    }
                ],
            )
        ),
        "Evicted",
        f"Pod/{WORKER} was taken from its node: default-scheduler: preempting to accommodate a higher priority pod; it is tried again",
        True,
        id="a pod that had to make room",
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
def test_the_cause_is_told_with_its_remedy(given: ClusterSeen, reason: str, message: str, retryable: bool) -> None:
    cause = find_cause(given)
    assert cause is not None
    assert (cause.reason, cause.message, cause.retryable) == (reason, message, retryable)
    assert "\n" not in message


def test_every_reason_has_its_place_and_a_case() -> None:
    told = {case.values[1] for case in CASES}
    assert told == set(PRECEDENCE)


GPUS = unschedulable("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
MISSING = waiting("CreateContainerConfigError", 'secret "hub" not found')
CRASH = waiting("CrashLoopBackOff", "back-off", last={"reason": "Error", "exitCode": 1}, name=WORKER)
PULL = waiting("ErrImagePull", "not found")


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


RUNNING = pod(
    HEAD,
    phase="Running",
    containerStatuses=[{"name": "ray-head", "ready": True, "state": {"running": {}}, "lastState": {"terminated": OOM}}],
)
LATE = "2026-11-24T13:00:00Z"


REFUSED = 'pods "x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
WITH_HEAD = cluster(conditions=[{"type": "HeadPodReady", "status": "True", "reason": "HeadPodRunningAndReady", "message": ""}])


def newer(document: Document, **metadata: object) -> Document:
    return document | {"metadata": document["metadata"] | metadata}


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


def test_long_words_of_others_are_cut() -> None:
    cause = find_cause(seen(unschedulable("word " * 200)))
    assert cause is not None
    assert len(cause.message) < 400


def test_the_operations_page_tells_of_every_reason_in_order_of_precedence() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    section = page.partition("## Conditions and reasons: why a job waits or failed")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == PRECEDENCE
