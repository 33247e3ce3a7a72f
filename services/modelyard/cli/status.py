"""Read the status of any kind alike: phase, progress, conditions, the sentence that matters. Knows no console."""

from typing import Any

from modelyard.domain.durations import format_duration
from modelyard.domain.evaluation import Evaluation, Score, Verdict
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.resource import Condition, Progress, Resource

BROKEN = ("Failed", "Rejected")
"""Phases that are left only when the user changes something."""
STYLES = {"Ready": "green", "Passed": "green", "Failed": "red", "Rejected": "red", "Deleting": "dim"}


def phase_of(resource: Resource) -> str:
    """The phase, or `Deleting` from the moment that deletion was asked for."""
    return "Deleting" if resource.metadata.deletion_timestamp else str(_status(resource).phase)


def style_of(phase: str) -> str:
    """The colour of a phase."""
    return STYLES.get(phase, "yellow")


def conditions_of(resource: Resource) -> list[Condition]:
    """The conditions; a ModelVersion has none."""
    return list(getattr(_status(resource), "conditions", []))


def condition_of(resource: Resource, kind: str) -> Condition | None:
    """The condition of a type."""
    return next((condition for condition in conditions_of(resource) if condition.type == kind), None)


def progress_of(resource: Resource) -> Progress | None:
    """How far the running job is."""
    progress: Progress | None = getattr(_status(resource), "progress", None)
    return progress


def is_current(resource: Resource) -> bool:
    """Whether the status speaks of the spec as it is now, and not of the one before."""
    return int(getattr(_status(resource), "observed_generation", resource.metadata.generation)) >= resource.metadata.generation


def message_of(resource: Resource) -> str:
    """The one sentence that says where it stands."""
    ready = condition_of(resource, "Ready")
    return ready.message if ready else str(getattr(_status(resource), "message", ""))


def version_of(resource: Resource, versions: list[ModelVersion]) -> ModelVersion | None:
    """The ModelVersion that holds a Model's scores: the one that its spec asks for."""
    if isinstance(resource, ModelVersion):
        return resource
    name = resource.status.version if isinstance(resource, Model) else ""
    same = (resource.metadata.namespace, name)
    return next((version for version in versions if (version.metadata.namespace, version.metadata.name) == same), None)


def scores_of(resource: Resource, version: ModelVersion | None) -> list[Score]:
    """What was scored."""
    if isinstance(resource, Evaluation):
        return resource.status.scores
    return version.status.scores if version else []


def verdict_of(resource: Resource, version: ModelVersion | None) -> Verdict | None:
    """What the gate said."""
    if isinstance(resource, Evaluation):
        return resource.status.verdict
    return version.status.verdict if version else None


def main_score(resource: Resource, version: ModelVersion | None) -> Score | None:
    """The score that the gate looks at first, else the first one."""
    scores = scores_of(resource, version)
    verdict = verdict_of(resource, version)
    metric = verdict.checks[0].metric if verdict and verdict.checks else None
    return next((score for score in scores if score.metric == metric), scores[0] if scores else None)


def brief_progress(progress: Progress | None) -> str:
    """`42% (3m20s)`: how far, and how long it still takes."""
    if progress is None:
        return ""
    left = "" if progress.eta_seconds is None else f" ({format_duration(progress.eta_seconds)})"
    return f"{progress.percent:.0f}%{left}"


def full_progress(progress: Progress) -> str:
    """`training 42%, step 21/50, loss 1.234, validation loss 1.300, 96 tokens/s, 3m20s left`."""
    parts = [f"{progress.stage} {progress.percent:.0f}%".strip()]
    if progress.total_steps:
        parts.append(f"step {progress.step}/{progress.total_steps}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.validation_loss is not None:
        parts.append(f"validation loss {progress.validation_loss:.3f}")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:.0f} tokens/s")
    if progress.bytes_per_second is not None:
        parts.append(f"{progress.bytes_per_second / 1e6:.1f} MB/s")
    if progress.eta_seconds is not None:
        parts.append(f"{format_duration(progress.eta_seconds)} left")
    return ", ".join(parts)


def _status(resource: Resource) -> Any:
    return getattr(resource, "status")  # noqa: B009 - every kind has one, each of its own type
