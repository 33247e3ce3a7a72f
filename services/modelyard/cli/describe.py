"""`modelyard describe`: everything there is to know about one resource."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from modelyard.cli.durations import format_age
from modelyard.cli.events import events_table
from modelyard.cli.kinds import parse_keys
from modelyard.cli.options import Namespace, Words, examples
from modelyard.cli.rollout_view import rollout_parts
from modelyard.cli.schedule_view import history_table, schedule_text
from modelyard.cli.session import session_of
from modelyard.cli.status import (
    conditions_of,
    full_progress,
    message_of,
    phase_of,
    progress_of,
    scores_of,
    style_of,
    verdict_of,
    version_of,
)
from modelyard.cli.tables import View, build_table, format_interval, plain_table
from modelyard.domain.base import Spec
from modelyard.domain.evaluation import Evaluation
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.resource import Resource

if TYPE_CHECKING:
    from modelyard.operator.store import Event

app = typer.Typer()


@app.command(epilog=examples("describe model support-bot", "describe kb/handbook"))
def describe(context: typer.Context, words: Words, namespace: Namespace = "default") -> None:
    """Explain resources: spec, conditions, progress, scores, gate, versions, events."""
    session = session_of(context)
    for position, key in enumerate(parse_keys(words, namespace)):
        resource = session.store.get(*key)
        siblings = session.store.list("ModelVersion", resource.metadata.namespace)
        view = View(session.clock(), [found for found in siblings if isinstance(found, ModelVersion)])
        if position:
            session.out.print()
        for part in build_description(resource, view, session.store.events(resource.key)):
            session.show(part)


def build_description(resource: Resource, view: View, events: "list[Event]") -> Iterator[RenderableType]:
    """The sections of a description; those that have nothing to say are left out."""
    yield from _head(resource, view)
    yield from _section("Spec", Text(_spec_of(resource)))
    if conditions := conditions_of(resource):
        rows = [[c.type, c.status, c.reason, format_age(c.last_transition_time, view.now), c.message] for c in conditions]
        yield from _section("Conditions", plain_table(["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], rows))
    yield from _scores(resource, view)
    if isinstance(resource, Evaluation) and (runs := history_table(resource, view.now)) is not None:
        yield from _section("History", runs)
    if isinstance(resource, Model):
        if resource.status.rollout is not None:
            yield from _section("Rollout", Group(*rollout_parts(resource, view.now)))
        own = [version for version in view.versions if version.spec.model == resource.metadata.name]
        if own:
            own.sort(key=lambda version: -version.spec.revision)
            yield from _section("Versions", build_table(own, view))
    if events:
        yield from _section("Events", events_table(events, view.now, named=False))


def _head(resource: Resource, view: View) -> Iterator[RenderableType]:
    metadata, phase = resource.metadata, phase_of(resource)
    lines = {
        "Name": metadata.name,
        "Namespace": metadata.namespace,
        "Kind": resource.kind,
        "Labels": ", ".join(f"{key}={value}" for key, value in metadata.labels.items()),
        "Annotations": ", ".join(f"{key}={value}" for key, value in metadata.annotations.items()),
        "Owner": ", ".join(f"{owner.kind.lower()}/{owner.name}" for owner in metadata.owner_references),
        "Created": f"{metadata.creation_timestamp} ({format_age(metadata.creation_timestamp, view.now)} ago)",
        "Deletion": metadata.deletion_timestamp and f"asked for {format_age(metadata.deletion_timestamp, view.now)} ago",
        "Generation": str(metadata.generation),
        "Phase": phase,
        "Message": message_of(resource),
        **_state(resource),
        "Schedule": schedule_text(resource, view.now),
    }
    for name, value in lines.items():
        if value:
            yield Text.assemble((f"{name + ':':<14}", "bold"), (value, style_of(phase) if name == "Phase" else ""))


def _state(resource: Resource) -> dict[str, str]:
    progress = progress_of(resource)
    status: Spec = resource.status  # type: ignore[attr-defined]
    document = status.wire()
    return {
        "Progress": full_progress(progress) if progress else "",
        "Job": document.get("job", ""),
        "Version": document.get("version", ""),
        "Active": document.get("activeVersion", ""),
        "Served as": ", ".join(document.get("servedNames", [])),
        "Target": document.get("target", ""),
        "Adapter": document.get("adapterUri", ""),
        "Collection": document.get("collection", ""),
        "Documents": str(document.get("documents", "")),
        "Chunks": str(document.get("chunks", "")),
    }


def _spec_of(resource: Resource) -> str:
    """The spec without what is as usual anyway."""
    import yaml

    spec: Spec = resource.spec  # type: ignore[attr-defined]
    document = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip()


def _scores(resource: Resource, view: View) -> Iterator[RenderableType]:
    version = version_of(resource, view.versions)
    base = {score.metric: score for score in version.status.base_scores} if version else {}
    rows = []
    for score in scores_of(resource, version):
        before = base.get(score.metric)
        rows.append([score.metric, f"{score.value:.3f}", format_interval(score), f"{before.value:.3f}" if before else "", str(score.rows)])
    if rows:
        yield from _section("Scores", plain_table(["METRIC", "VALUE", "95% INTERVAL", "BASE", "ROWS"], rows))
    verdict = verdict_of(resource, version)
    if verdict and verdict.checks:
        checks = [
            [
                "passed" if check.passed else "missed",
                check.metric,
                "" if check.value is None else f"{check.value:.3f}",
                check.bar,
                check.reason,
            ]
            for check in verdict.checks
        ]
        yield from _section(
            f"Gate ({'passed' if verdict.passed else 'missed'})", plain_table(["RESULT", "METRIC", "VALUE", "BAR", "MESSAGE"], checks)
        )


def _section(title: str, body: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"{title}:", style="bold")
    yield Padding(body, (0, 0, 0, 2), expand=False)
