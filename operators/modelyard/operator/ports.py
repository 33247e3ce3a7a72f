"""What the reconciler needs of its surroundings. A laptop and a cluster each bring their own."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from modelyard.domain.base import Spec
from modelyard.domain.figures import VersionFigures
from modelyard.domain.model import ModelVersion
from modelyard.domain.observed import AppSeen, Job, JobSeen, Obstacle
from modelyard.domain.resource import Resource

Key = tuple[str, str, str]
"""(kind, namespace, name)."""


@dataclass(frozen=True)
class ServingSeen:
    """The serving side as it is now."""

    apps: Mapping[str, AppSeen] = field(default_factory=dict)
    answering: frozenset[str] = frozenset()
    """Model names and knowledge bases that answer, by the gateway's word."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Model name → why its adapter is not loaded."""
    figures: Mapping[str, VersionFigures] = field(default_factory=dict)
    """Version name → what its gateway has counted."""
    obstacle: Obstacle | None = None
    """Why what is not deployed yet is not, where the cluster knows."""
    edited: bool = False
    """Somebody else changed what was applied."""


class Resources(Protocol):
    """Keeps resources, their status and their events."""

    def list(self) -> list[Resource]:
        """All resources."""

    def find(self, kind: str, namespace: str, name: str) -> Resource | None:
        """A resource, or None."""

    def versions(self, namespace: str | None, model: str | None) -> Iterable[ModelVersion]:
        """The versions of a model; None: of all namespaces, of all models."""

    def create(self, resource: Resource) -> object:
        """Store a new resource with its owners. Raises ConflictError if there is one of that name."""

    def set_status(self, key: Key, status: Spec) -> bool:
        """Replace the status. False, and nothing written, when it is so already or the resource is gone."""

    def remove(self, key: Key) -> None:
        """Let a resource go, with all that it owns. Nothing happens when it is gone already."""

    def record_event(self, key: Key, type: Literal["Normal", "Warning"], reason: str, message: str) -> None:  # noqa: A002
        """Note that something happened to a resource."""


class Jobs(Protocol):
    """Runs jobs to their end, each at most once at a time."""

    def observe(self) -> Mapping[str, JobSeen]:
        """Every job there is, by name."""

    def submit(self, name: str, job: Job, owner: Resource) -> None:
        """Queue a job, or queue it again after a failure; nothing happens to one that is queued or runs.

        owner: the resource that asks for it first. Others may share it.
        """

    def advance(self, wanted: Set[str], held: Set[str] = frozenset()) -> None:
        """Stop what nobody wants any more, hold what has to wait, and start what is next.

        held: those of `wanted` that must not run now. What they have done so far is kept.
        """

    def remove(self, name: str) -> None:
        """Stop a job and forget its run."""


class Serving(Protocol):
    """Carries out one Serve config."""

    def observe(self) -> ServingSeen:
        """What is deployed and what answers."""

    def apply(self, config: Mapping[str, Any]) -> None:
        """Make the deployed applications those of the config, in place where that is possible."""


class Inputs(Protocol):
    """Reads what the user pointed at."""

    def digest(self, uri: str, include: tuple[str, ...]) -> str:
        """The digest of a file, or of the files of a folder that match. Raises ModelyardError."""


class Leftovers(Protocol):
    """Removes what lies outside the resources."""

    def remove_index(self, alias: str) -> None:
        """Remove a Milvus alias and its collections."""

    def remove_artifact(self, digest: str) -> None:
        """Remove an artifact."""
