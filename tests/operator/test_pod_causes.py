"""Why a pod does not run, in the words of the kubelet."""

import pytest
from tests.operator.cause_documents import HEAD, OOM, WORKER, ended, failed, pod, seen, tell, waiting

from modelyard.operator.causes import ClusterSeen

CASES = [
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
            pod(phase="Failed", reason="OutOfnvidia.com/gpu", message="Pod was rejected: Node didn't have enough resource: nvidia.com/gpu")
        ),
        "Unschedulable",
        f"the node refused Pod/{WORKER}: Pod was rejected: Node didn't have enough resource: nvidia.com/gpu; it is tried again on another",
        True,
        id="the node itself finds no room",
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
]


@pytest.mark.parametrize(("given", "reason", "message", "retryable"), CASES)
def test_what_a_pod_tells_is_the_cause_with_its_remedy(given: ClusterSeen, reason: str, message: str, retryable: bool) -> None:
    assert tell(given) == (reason, message, retryable)
