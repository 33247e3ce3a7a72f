"""The envelope that every resource shares: metadata, conditions, progress. As Kubernetes users know it."""

from typing import Any, Literal

from pydantic import Field

from modelyard.domain.base import Spec

GROUP = "modelyard.io"
API_VERSION = f"{GROUP}/v1alpha1"

MAX_URI = 2048
"""Characters of a URI."""
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class OwnerReference(Spec):
    """The resource that this one was made for; it is deleted with it."""

    kind: str
    name: str
    uid: str


class Metadata(Spec):
    """Who a resource is."""

    name: str = Field(pattern=NAME_PATTERN, max_length=63)
    """Lower-case letters, digits and `-`; at most 63 characters."""
    namespace: str = Field(default="default", pattern=NAME_PATTERN, max_length=63)
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    """Set by the server."""
    generation: int = 0
    """Counts the changes of `spec`. Set by the server."""
    resource_version: int = 0
    """Counts the changes of the whole document. Set by the server."""
    creation_timestamp: str = ""
    """UTC, RFC 3339. Set by the server."""
    deletion_timestamp: str = ""
    """UTC, RFC 3339; present once deletion was asked for. Set by the server."""
    owner_references: list[OwnerReference] = []


class Condition(Spec):
    """One observed fact about a resource, after the Kubernetes API conventions."""

    type: str
    """The stage that it speaks of, or Ready for the whole."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """One CamelCase word for programs."""
    message: str = ""
    """One sentence for people: the root cause and the remedy."""
    observed_generation: int = 0
    """The generation of the spec that it speaks of."""
    last_transition_time: str = ""
    """When `status` changed last: UTC, RFC 3339."""


class Progress(Spec):
    """How far a running job is."""

    stage: str = ""
    """What is being done now, for people: `downloading`, `training`, `embedding`."""
    step: int = 0
    """Steps done: of the optimizer, rows or documents, as the stage has them."""
    total_steps: int = 0
    """0 while unknown."""
    percent: float = 0.0
    """0 to 100."""
    eta_seconds: float | None = None
    """What is left at the present speed."""
    tokens_per_second: float | None = None
    """Over all workers."""
    bytes_per_second: float | None = None
    """While something is downloaded."""
    loss: float | None = None
    """Of the last training step."""
    validation_loss: float | None = None
    """Of the last measurement on held-out rows."""
    token_accuracy: float | None = None
    """The share of the last step's learned tokens that were the likeliest ones."""
    learning_rate: float | None = None
    """Of the last training step."""
    gradient_norm: float | None = None
    """Of the last training step, before clipping."""
    peak_memory_bytes: int | None = None
    """The most that the first worker has held: of its GPU, else of its process."""


class Resource(Spec):
    """What every kind has beside its own `spec` and `status`."""

    api_version: Literal["modelyard.io/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: str
    metadata: Metadata

    @property
    def key(self) -> tuple[str, str, str]:
        """(kind, namespace, name)."""
        return (self.kind, self.metadata.namespace, self.metadata.name)

    def spec_document(self) -> dict[str, Any]:
        """The `spec` as it is stored, the part that `generation` counts."""
        return dict(self.wire().get("spec", {}))
