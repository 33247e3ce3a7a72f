"""The columns by which each kind is read at a glance. Builds tables; asks nothing and prints nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from modelyard.cli.durations import format_age
from modelyard.cli.kinds import label_of
from modelyard.cli.status import brief_progress, main_score, message_of, phase_of, progress_of, style_of, version_of
from modelyard.domain.evaluation import Score
from modelyard.domain.model import ModelVersion
from modelyard.domain.resource import Resource

SENTENCES = ("MESSAGE", "SERVED")
LEAST_SENTENCE = 30
"""Characters a line."""


@dataclass(frozen=True)
class View:
    """What a cell may look at beside its own resource."""

    now: datetime
    versions: list[ModelVersion]


@dataclass(frozen=True)
class Column:
    """One column of a kind."""

    header: str
    cell: Callable[[Any, View], str]
    wide: bool = False
    """Shown with `-o wide` only."""


def build_table(
    resources: Sequence[Resource], view: View, *, wide: bool = False, namespaces: bool = False, prefixed: bool = False
) -> Table:
    """The table of resources of one kind.

    wide: with the columns that few want; namespaces: with that column; prefixed: names as `KIND/NAME`.
    """
    columns = [column for column in COLUMNS[resources[0].kind] if wide or not column.wide]
    headers = [*(["NAMESPACE"] if namespaces else []), "NAME", *(column.header for column in columns)]
    rows = []
    for resource in resources:
        name = label_of(resource) if prefixed else resource.metadata.name
        first = [*([resource.metadata.namespace] if namespaces else []), name]
        rows.append([*first, *(column.cell(resource, view) for column in columns)])
    return plain_table(headers, rows)


def plain_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Columns without lines. A phase is coloured; nothing is read as markup."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    rows = list(rows)
    for position, header in enumerate(headers):
        # What people copy stays whole on a narrow terminal; sentences wrap, but not to one word a line.
        wraps = header in SENTENCES
        longest = max(len(line[position]) for line in (headers, *rows))
        table.add_column(header, no_wrap=not wraps, min_width=min(longest, LEAST_SENTENCE) if wraps else longest, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_style(header, cell)) for header, cell in zip(headers, row, strict=True)))
    return table


def format_score(score: Score | None) -> str:
    """`0.875`."""
    return "" if score is None else f"{score.value:.3f}"


def format_interval(score: Score) -> str:
    """`0.790 to 0.940`."""
    return f"{score.low:.3f} to {score.high:.3f}"


def _style(header: str, cell: str) -> str:
    if header == "PHASE":
        return style_of(cell)
    return {"Warning": "yellow", "missed": "red", "passed": "green"}.get(cell, "")


def _tail(version: str) -> str:
    """The part that tells versions of a model apart; clients write it after `MODEL:`."""
    return version.rpartition("-")[2]


def _phase(resource: Resource, view: View) -> str:
    return phase_of(resource)


def _progress(resource: Resource, view: View) -> str:
    return brief_progress(progress_of(resource))


def _score(resource: Resource, view: View) -> str:
    return format_score(main_score(resource, version_of(resource, view.versions)))


def _metric(resource: Resource, view: View) -> str:
    score = main_score(resource, version_of(resource, view.versions))
    return score.metric if score else ""


def _base_score(version: ModelVersion, view: View) -> str:
    score = main_score(version, version)
    return format_score(next((base for base in version.status.base_scores if score and base.metric == score.metric), None))


def _age(resource: Resource, view: View) -> str:
    return format_age(resource.metadata.creation_timestamp, view.now)


def _message(resource: Resource, view: View) -> str:
    return message_of(resource)


PHASE, PROGRESS, SCORE, AGE = Column("PHASE", _phase), Column("PROGRESS", _progress), Column("SCORE", _score), Column("AGE", _age)
LAST = Column("LAST", lambda resource, view: format_age(resource.status.last_schedule_time, view.now), wide=True)
METRIC, MESSAGE = Column("METRIC", _metric, wide=True), Column("MESSAGE", _message, wide=True)

COLUMNS: dict[str, list[Column]] = {
    "Model": [
        PHASE,
        PROGRESS,
        Column("VERSION", lambda model, view: _tail(model.status.version)),
        Column("ACTIVE", lambda model, view: _tail(model.status.active_version)),
        SCORE,
        AGE,
        METRIC,
        Column("SERVED", lambda model, view: ", ".join(model.status.served_names), wide=True),
        MESSAGE,
    ],
    "ModelVersion": [
        Column("MODEL", lambda version, view: version.spec.model),
        Column("REVISION", lambda version, view: str(version.spec.revision)),
        PHASE,
        SCORE,
        Column("BASE", _base_score),
        AGE,
        METRIC,
        Column("ADAPTER", lambda version, view: version.status.adapter_digest[:12], wide=True),
        Column("WEIGHTS", lambda version, view: version.status.weights_digest[:12], wide=True),
        MESSAGE,
    ],
    "Evaluation": [
        Column("MODEL", lambda evaluation, view: evaluation.spec.model),
        PHASE,
        PROGRESS,
        SCORE,
        AGE,
        METRIC,
        Column("TARGET", lambda evaluation, view: evaluation.status.target, wide=True),
        Column("SCHEDULE", lambda evaluation, view: evaluation.spec.schedule.cron if evaluation.spec.schedule else "", wide=True),
        LAST,
        MESSAGE,
    ],
    "KnowledgeBase": [
        PHASE,
        PROGRESS,
        Column("DOCUMENTS", lambda base, view: str(base.status.documents)),
        Column("CHUNKS", lambda base, view: str(base.status.chunks)),
        AGE,
        Column("COLLECTION", lambda base, view: base.status.collection, wide=True),
        Column("REFRESH", lambda base, view: base.spec.refresh.cron if base.spec.refresh else "", wide=True),
        LAST,
        MESSAGE,
    ],
}
