"""The settings of the operator on a cluster, read once from one mounted YAML file and passed in."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.machine import Machine, Machines
from modelyard.domain.problems import find_problems
from modelyard.domain.resource import NAME_PATTERN
from modelyard.domain.wording import listed
from modelyard.domain.yaml_text import SyntaxProblem, read_yaml

QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
Quantity = Annotated[
    str,
    Field(pattern=QUANTITY, description="a Kubernetes quantity such as 500m, 4 or 16Gi"),
    BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value),
]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]
"""Of a Kubernetes object: lower-case letters, digits and `-`."""
SecretName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
"""Lower-case letters, digits, `-` and `.`."""


MAX_PROFILE_NAME = 30
"""It becomes a part of pod names."""


class Toleration(Spec):
    """A taint that pods may be placed in spite of, as Kubernetes has it."""

    key: str | None = None
    """Without it, every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Without it, every effect."""
    toleration_seconds: int | None = None


class Profile(Spec):
    """One kind of machine that workers and engines may ask for by name. A pod holds as many workers as fit, or one engine."""

    node_selector: dict[str, str] = {}
    """Labels that a node must have."""
    tolerations: list[Toleration] = []
    limits: dict[str, Quantity] = Field(min_length=1)
    """Of a pod, in Kubernetes' words: `cpu`, `memory`, `nvidia.com/gpu`."""
    requests: dict[str, Quantity] = {}
    """What is reserved; without it, as much as the limits."""
    ray_resources: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """What a pod offers to Ray, in Ray's words: `CPU`, always, and `GPU` or custom ones. A worker must not reserve more."""
    memory_gib: float = Field(gt=0)
    """Memory that weights have to fit into: the accelerators' together, without any the pod's."""
    max_serving_pods: int = Field(default=8, ge=0)
    """The most pods of this kind that serving may start in a namespace. A running RayCluster keeps the number it began with."""

    @model_validator(mode="after")
    def _offers_cpus(self) -> Self:
        if "CPU" not in self.ray_resources:
            raise ValueError("rayResources has no CPU, and every worker reserves some; add it")
        return self


class VolumeClaim(Spec):
    """A volume that all jobs and engines of a namespace mount, as a store or a cache."""

    name: Name
    """The PersistentVolumeClaim."""
    mount_path: str = Field(pattern=r"^/.+")
    """An absolute path."""
    size: Quantity | None = None
    """Make the claim with this size; without it, it has to be there."""
    storage_class: str | None = None
    """Without it, the cluster's default."""
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"


class SecretKey(Spec):
    """One value in a Secret of the namespace."""

    name: SecretName
    """The Secret."""
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]+$")
    """Letters, digits, `-`, `_` and `.`."""
    optional: bool = False
    """Start without the value when it is not there."""


class Destination(Spec):
    """Where pods may connect to. Exactly one of a range of addresses and a namespace."""

    cidr: str | None = Field(default=None, pattern=r"^[0-9a-fA-F:.]+/[0-9]+$")
    """`10.0.0.0/8`."""
    namespace: Name | None = None
    """All pods of a namespace."""
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(min_length=1)
    """TCP."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.cidr is None) == (self.namespace is None):
            raise ValueError("a destination is one place; give exactly one of cidr, namespace")
        return self


class Network(Spec):
    """Who may talk to the pods, and whom they may talk to. Names cannot be told in a NetworkPolicy, so places are given."""

    operator_namespaces: list[Name] = ["modelyard", "kuberay"]
    """Of this operator and of KubeRay's, which reach the dashboard and the gateway."""
    client_namespaces: list[Name] = []
    """Whose pods reach the gateway, beside those of the namespace itself: an ingress controller."""
    metrics_namespaces: list[Name] = []
    """Whose pods reach the metrics: Prometheus."""
    destinations: list[Destination] = [Destination(cidr="0.0.0.0/0", ports=[443])]
    """The store, Milvus, the hub, and the Kubernetes API for the autoscaler; name lookups are always allowed."""


class ClusterSettings(Spec):
    """How jobs and engines run on this cluster."""

    image: str = Field(min_length=1)
    """What jobs and engines run in: Modelyard on Ray."""
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    image_pull_secrets: list[SecretName] = []
    ray_version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    """Of the image, such as `2.60.0`; KubeRay wants 2.52.0 or later for token authentication."""
    store_uri: str
    """Root of the artifact store."""
    runs_uri: str
    """Parent of all run folders; the operator reads them too."""
    milvus_uri: str
    """What pymilvus connects to."""
    volume_claim: VolumeClaim | None = None
    service_account: Name = "modelyard-jobs"
    """Of every pod; only the head of the serving side gets its token, for Ray's autoscaler."""
    run_as_user: int = Field(default=1000, ge=1)
    """Numeric user and file group of every pod; Ray's images have 1000."""
    environment: dict[str, str] = {}
    """Variables of every pod, such as AWS_ENDPOINT_URL."""
    secret_environment: dict[str, SecretKey] = {}
    """Variables of every pod whose values are in Secrets, such as HF_TOKEN or AWS_SECRET_ACCESS_KEY."""
    profiles: dict[str, Profile] = Field(min_length=1)
    """The kinds of machines. Append new ones: KubeRay adds them to a running RayCluster at the end only."""
    default_profile: str
    """For whoever names none."""
    head_limits: dict[str, Quantity] = {"cpu": "2", "memory": "8Gi"}
    """Of a pod that only drives: the head of a training run or of the serving side, and the download of weights."""
    queue_name: str = ""
    """Kueue's LocalQueue for jobs whose resource has no `kueue.x-k8s.io/queue-name` label; empty: jobs are not queued."""
    ttl_seconds_after_finished: int = Field(default=600, ge=0)
    """Seconds that the pods of an ended job stay, for whoever wants to look; the RayJob of one that succeeded goes with them."""
    backoff_limit: int = Field(default=0, ge=0)
    """How often KubeRay itself starts an ended job anew. The operator retries on its own, and knows what is worth it."""
    active_deadline_seconds: int | None = Field(default=None, ge=1)
    """A job that takes longer, its wait for machines included, is ended; without it, none is."""
    service_upgrade: Literal["NewCluster", "None"] = "NewCluster"
    """What another image or profile does to the serving side: `NewCluster` starts a second one beside it, which takes the
    machines twice for a while; `None` changes nothing until somebody deletes the RayCluster."""
    auth_token_secret: SecretName | None = None
    """A Secret with Ray's token under `auth_token`; without it, KubeRay makes one for each RayCluster."""
    network: Network | None = None
    """Fences pods in with NetworkPolicies; without it, there are none."""
    namespaces: list[Name] = []
    """Whose resources are looked after; empty: all."""
    cleanup_patience_s: float = Field(default=300.0, ge=0)
    """Seconds that the clean-up of a deleted resource may keep it from going."""

    @model_validator(mode="after")
    def _profiles_are_usable(self) -> Self:
        for name in self.profiles:
            if len(name) > MAX_PROFILE_NAME or not re.match(NAME_PATTERN, name):
                raise ValueError(
                    f"the profile name {name!r} is not usable; write lower-case letters, digits and `-`, at most {MAX_PROFILE_NAME}"
                )
        if self.default_profile not in self.profiles:
            raise ValueError(f"defaultProfile is {self.default_profile!r}; set it to one of {listed(self.profiles)}")
        return self

    def profile_name(self, wanted: str | None) -> str:
        """The name itself, or the default. Raises InvalidInputError for a profile that does not exist."""
        return self.machines().require(wanted)

    def machines(self) -> Machines:
        """What the profiles are to the lifecycle: memory, and what Ray is offered."""
        kinds = {name: Machine(profile.memory_gib, profile.ray_resources) for name, profile in self.profiles.items()}
        return Machines(kinds, self.default_profile)

    def profile(self, wanted: str | None) -> Profile:
        """A profile by name, or the default one. Raises InvalidInputError for one that does not exist."""
        return self.profiles[self.profile_name(wanted)]


def read_settings(path: Path) -> ClusterSettings:
    """Read the file. Raises NotFoundError if it is not there, InvalidInputError with every field that is wrong."""
    try:
        text = path.read_text()
    except OSError as error:
        raise NotFoundError(f"the settings {path} cannot be read: {error.strerror}", "mount the ConfigMap there") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the settings {path} are not text: {error.reason}", "save them as UTF-8") from error
    documents = list(read_yaml(text))
    if len(documents) != 1:
        raise InvalidInputError(f"the settings {path} have {len(documents)} documents", "leave one")
    document = documents[0]
    if isinstance(document, SyntaxProblem):
        raise InvalidInputError(f"{path}{document.place}: {document.problem}", document.remedy)
    if not isinstance(document.value, dict):
        raise InvalidInputError(f"the settings {path} are not a mapping", "write fields such as `image: …`")
    problems = document.problems or find_problems(ClusterSettings, document.value)
    if problems:
        *others, last = [(f"{path}:{document.line(problem.path)}: {problem.problem}", problem.remedy) for problem in problems]
        raise InvalidInputError("\n".join([*("; ".join(other) for other in others), last[0]]), last[1])
    return ClusterSettings.model_validate(document.value)
