"""Build the pod templates of Ray clusters. Pure: plain dicts, no I/O. Knows neither jobs nor serving."""

import math
from collections.abc import Mapping
from typing import Any

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Workers
from modelyard.domain.machine import workers_on
from modelyard.domain.wording import one_of
from modelyard.operator.cluster_settings import ClusterSettings, Profile

HEAD_CONTAINER, WORKER_CONTAINER = "ray-head", "ray-worker"
VOLUME = "yard"

CONTAINER_SECURITY: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""With the pod's: what the `restricted` Pod Security Standard asks for."""


def profile_resource(profile: str) -> str:
    """The Ray resource that each pod of a profile offers once; who reserves it is placed on such a pod."""
    return f"profile-{profile}"


def build_head_group(
    settings: ClusterSettings, labels: Mapping[str, str], profile: str | None = None, *, token: bool = False
) -> dict[str, Any]:
    """The head of a Ray cluster: on a machine of `profile` and with its resources, else one that only drives.

    token: whether the pod may talk to the Kubernetes API.
    """
    if profile is None:
        resources, template = {"CPU": "0"}, build_pod_template(settings, labels, HEAD_CONTAINER, settings.head_limits, token=token)
    else:
        kind = settings.profiles[profile]
        resources = _ray_resources(kind.ray_resources)
        template = build_pod_template(settings, labels, HEAD_CONTAINER, kind.limits, kind, token=token)
    return {"rayStartParams": {"dashboard-host": "0.0.0.0"}, "resources": resources, "template": template}  # noqa: S104


def build_worker_group(settings: ClusterSettings, labels: Mapping[str, str], profile: str, replicas: tuple[int, int]) -> dict[str, Any]:
    """Pods of one profile. replicas: the fewest, with which it starts, and the most."""
    kind = settings.profiles[profile]
    return {
        "groupName": profile,
        "replicas": replicas[0],
        "minReplicas": replicas[0],
        "maxReplicas": replicas[1],
        "rayStartParams": {},
        "resources": _ray_resources(kind.ray_resources) | {profile_resource(profile): "1"},
        "template": build_pod_template(settings, labels, WORKER_CONTAINER, kind.limits, kind),
    }


def build_pod_template(
    settings: ClusterSettings,
    labels: Mapping[str, str],
    container: str,
    limits: Mapping[str, str],
    profile: Profile | None = None,
    *,
    token: bool = False,
) -> dict[str, Any]:
    """A pod with one container that nobody has to trust: not root, no privileges, no token unless it is asked for."""
    requests = (profile.requests if profile else {}) or limits
    main: dict[str, Any] = {
        "name": container,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "resources": {"limits": dict(limits), "requests": dict(requests)},
        "securityContext": CONTAINER_SECURITY,
    }
    environment = build_environment(settings)
    if environment:
        main["env"] = environment
    spec: dict[str, Any] = {
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": token,
        "securityContext": build_pod_security(settings),
        "containers": [main],
    }
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    if settings.volume_claim:
        main["volumeMounts"] = [{"name": VOLUME, "mountPath": settings.volume_claim.mount_path}]
        spec["volumes"] = [{"name": VOLUME, "persistentVolumeClaim": {"claimName": settings.volume_claim.name}}]
    if profile and profile.node_selector:
        spec["nodeSelector"] = dict(profile.node_selector)
    if profile and profile.tolerations:
        spec["tolerations"] = [toleration.wire() for toleration in profile.tolerations]
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def build_pod_security(settings: ClusterSettings) -> dict[str, Any]:
    """The user, and the group that owns mounted volumes."""
    user = settings.run_as_user
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def build_environment(settings: ClusterSettings) -> list[dict[str, Any]]:
    """Variables by name: plain ones, and those whose values stay in Secrets."""
    plain: dict[str, dict[str, Any]] = {name: {"name": name, "value": value} for name, value in settings.environment.items()}
    secret = {
        name: {"name": name, "valueFrom": {"secretKeyRef": {"name": source.name, "key": source.key, "optional": source.optional}}}
        for name, source in settings.secret_environment.items()
    }
    both = plain | secret
    return [both[name] for name in sorted(both)]


def count_pods(settings: ClusterSettings, profile: str, workers: Workers) -> int:
    """How many pods of a profile hold the workers, as Ray packs them: a pod with eight GPUs holds eight workers with one each.

    Raises InvalidInputError if not even one worker fits on a pod: Ray would wait for ever.
    """
    per_pod = workers_on(settings.profiles[profile].ray_resources, workers)
    if per_pod >= 1:
        return math.ceil(workers.count / per_pod)
    offer = settings.profiles[profile].ray_resources
    resource, amount = next((name, amount) for name, amount in workers.resources.items() if amount > offer.get(name, 0.0))
    fitting = [name for name, other in settings.profiles.items() if workers_on(other.ray_resources, workers) >= 1]
    remedy = f"set spec.fineTune.workers.profile to {one_of(fitting)}, or lower" if fitting else "lower"
    raise InvalidInputError(
        f"a worker reserves {amount:g} {resource} and a pod of profile {profile!r} offers {offer.get(resource, 0.0):g}",
        f"{remedy} spec.fineTune.workers.resources",
    )


def _ray_resources(resources: Mapping[str, float]) -> dict[str, str]:
    """KubeRay takes quantities as text."""
    return {name: f"{amount:g}" for name, amount in resources.items()}
