"""Pods that the API server refuses, and claims that get no volume."""

import pytest
from tests.operator.cause_documents import claim, cluster, event, pod, refused, seen, tell, unschedulable

from modelyard.operator.causes import ClusterSeen

CASES = [
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
        seen(clusters=[refused('pods "x" is forbidden: unknown priority class urgent')]),
        "AdmissionRefused",
        "the API server refuses pods of RayCluster/train-1-abcde: unknown priority class urgent; give what it asks for",
        False,
        id="a refusal that nobody knows is passed on",
    ),
    pytest.param(
        seen(clusters=[refused('admission webhook "validate.kyverno.svc-fail" denied the request')]),
        "AdmissionRefused",
        "the admission webhook 'validate.kyverno.svc-fail' refuses pods of RayCluster/train-1-abcde: no reason given;"
        " change what it asks for in the profile, or have the policy changed",
        False,
        id="a webhook that says no without a reason",
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
        seen(pod(), claims=[claim("Lost")]),
        "VolumeNotFound",
        "the volume of PersistentVolumeClaim/yard was deleted; restore it, or create the claim anew",
        False,
        id="a volume that was deleted under its claim",
    ),
]


@pytest.mark.parametrize(("given", "reason", "message", "retryable"), CASES)
def test_what_is_refused_is_the_cause_with_its_remedy(given: ClusterSeen, reason: str, message: str, retryable: bool) -> None:
    assert tell(given) == (reason, message, retryable)
