"""What the lifecycle plan is told about the world, and what it may ask for. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelyard.domain.evaluation import EvaluationStatus
from modelyard.domain.figures import VersionFigures
from modelyard.domain.job import EvaluateJob, FetchJob, IngestJob, TrainJob
from modelyard.domain.knowledge_base import KnowledgeBaseStatus
from modelyard.domain.machine import Machines
from modelyard.domain.model import Model, ModelStatus, ModelVersion, ModelVersionSpec, ModelVersionStatus
from modelyard.domain.resource import Progress
from modelyard.domain.serving import EmbeddingRoute, KnowledgeBaseRoute, Route

Job = FetchJob | TrainJob | EvaluateJob | IngestJob


PREEMPTED = "Preempted"
"""The reason of a job that was stopped from outside; it has failed at nothing."""


@dataclass(frozen=True)
class JobSeen:
    """One job as it is now."""

    phase: Literal["queued", "running", "succeeded", "failed"]
    result: str = ""
    """The result document (JSON), once succeeded."""
    message: str = ""
    """The root cause, once failed; what it waits for, while it cannot start."""
    reason: str = ""
    """One CamelCase word for `message`, where the cluster knows better than `JobFailed` or `Queued`."""
    progress: Progress | None = None
    retryable: bool = False
    attempts: int = 1
    """How often it was started, but for the times that it was preempted."""
    idle_s: float = 0.0
    """Seconds since it failed."""


@dataclass(frozen=True)
class AppSeen:
    """One Serve application as it is now."""

    phase: Literal["deploying", "running", "failed"]
    message: str = ""


@dataclass(frozen=True)
class Obstacle:
    """What keeps the serving side from starting, where the cluster knows."""

    reason: str
    """One CamelCase word for programs."""
    message: str
    """The root cause and the remedy, for people."""


@dataclass(frozen=True)
class Platform:
    """Where this platform keeps things."""

    store: str
    """Root URI of the artifact store."""
    milvus_uri: str
    capacity: Mapping[str, float] = field(default_factory=dict)
    """What workers can reserve in total: `CPU`, `GPU`, …; empty where it is not known."""
    machines: Machines = Machines()
    """The kinds of machines that workers and engines run on, with their memory."""


@dataclass(frozen=True)
class Observed:
    """The world around one resource."""

    platform: Platform
    now: str = ""
    """UTC, RFC 3339; stamps transitions, and tells whether a step of a rollout had its time."""
    jobs: Mapping[str, JobSeen] = field(default_factory=dict)
    """By job name."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """URI of a dataset, suite or document folder → digest of its bytes."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """URI → why it cannot be read."""
    apps: Mapping[str, AppSeen] = field(default_factory=dict)
    """By application name."""
    answering: frozenset[str] = frozenset()
    """Served model names and knowledge bases that answer now, by the gateway's word."""
    serving_problems: Mapping[str, str] = field(default_factory=dict)
    """Served model name → why its adapter is not loaded."""
    serving_obstacle: Obstacle | None = None
    """Why what is not deployed yet is not."""
    figures: Mapping[str, VersionFigures] = field(default_factory=dict)
    """Name of a ModelVersion → the gateway's counters of it; one that got no request yet is missing."""
    versions: tuple[ModelVersion, ...] = ()
    """Of the model at hand."""
    model: Model | None = None
    """Of an evaluation: the model that it names."""


@dataclass(frozen=True)
class RunJob:
    """Start a job, or start it again after a failure."""

    job: Job


@dataclass(frozen=True)
class CreateVersion:
    """Make a ModelVersion that belongs to the model."""

    name: str
    spec: ModelVersionSpec


@dataclass(frozen=True)
class SetVersionStatus:
    """Record what became of a version."""

    name: str
    status: ModelVersionStatus


@dataclass(frozen=True)
class DeleteVersion:
    """Remove a ModelVersion, its run and its adapter."""

    name: str


@dataclass(frozen=True)
class SetStatus:
    """Replace the status of the resource."""

    status: ModelStatus | EvaluationStatus | KnowledgeBaseStatus


@dataclass(frozen=True)
class RemoveIndex:
    """Remove a Milvus alias and the collections behind it."""

    alias: str


@dataclass(frozen=True)
class RemoveResource:
    """The clean-up is done: let the resource go."""


Step = RunJob | CreateVersion | SetVersionStatus | DeleteVersion | SetStatus | RemoveIndex | RemoveResource


@dataclass(frozen=True)
class Plan:
    """What must change for one resource, and what it wants kept."""

    steps: tuple[Step, ...] = ()
    """In order. None when the world is as the resource asks."""
    jobs: frozenset[str] = frozenset()
    """Names of the jobs that this resource stands on; a running job that no resource names is stopped."""
    held: frozenset[str] = frozenset()
    """Those of `jobs` that must not run now, and go on later; one that another resource wants to run, runs."""
    routes: tuple[Route, ...] = ()
    engines: tuple["EngineWanted", ...] = ()
    knowledge_bases: tuple[KnowledgeBaseRoute, ...] = ()
    embeddings: tuple[EmbeddingRoute, ...] = ()


@dataclass(frozen=True)
class EngineWanted:
    """An engine application that a model's routes go to."""

    name: str
    base_digest: str
    engine: Literal["auto", "vllm", "transformers"]
    max_model_length: int
    kv_cache_gib: float
    max_rank: int
    min_replicas: int
    max_replicas: int
    profile: str | None = None
    """The cluster's kind of machine for it; None: the default."""
