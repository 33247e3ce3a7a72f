"""How each kind is called and listed: short names, columns, field selectors. One table; knows no schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Column:
    """One column of `kubectl get`."""

    name: str
    path: str
    type: Literal["string", "integer", "number", "boolean", "date"] = "string"
    wide: bool = False
    """Shown by `-o wide` only."""

    def wire(self) -> dict[str, Any]:
        """As it stands in `additionalPrinterColumns`."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True)
class Listing:
    """How a kind is called and listed."""

    short: str
    """Not `ev` for an Evaluation: that is Kubernetes' own word for events."""
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = (".status.phase",)
    """What `kubectl get --field-selector` may ask for."""


def _condition(name: str, field: str, header: str, wide: bool = False) -> Column:
    return Column(header, f'.status.conditions[?(@.type=="{name}")].{field}', wide=wide)


PHASE = Column("Phase", ".status.phase")
DONE = Column("Done%", ".status.progress.percent", "integer")
AGE = Column("Age", ".metadata.creationTimestamp", "date")
ETA = Column("ETA(s)", ".status.progress.etaSeconds", "integer", wide=True)
JOB = Column("Job", ".status.job", wide=True)
MESSAGE = _condition("Ready", "message", "Message", wide=True)
LAST = Column("Last", ".status.lastScheduleTime", "date")

LISTINGS: Mapping[str, Listing] = {
    "Model": Listing(
        "mdl",
        (
            PHASE,
            DONE,
            Column("Version", ".status.version"),
            _condition("Evaluated", "message", "Scores"),
            _condition("Promoted", "reason", "Gate"),
            Column("Served", ".status.servedNames"),
            AGE,
            Column("Active", ".status.activeVersion", wide=True),
            Column("Suspend", ".spec.suspend", "boolean", wide=True),
            ETA,
            JOB,
            MESSAGE,
        ),
    ),
    "ModelVersion": Listing(
        "mv",
        (
            Column("Model", ".spec.model"),
            Column("Revision", ".spec.revision", "integer"),
            PHASE,
            Column("Metric", ".status.scores[0].metric"),
            Column("Score", ".status.scores[0].value", "number"),
            Column("Base", ".status.baseScores[0].value", "number"),
            AGE,
            Column("Adapter", ".status.adapterUri", wide=True),
            Column("Message", ".status.message", wide=True),
        ),
        selectable=(".spec.model", ".status.phase"),
    ),
    "Evaluation": Listing(
        "eval",
        (
            Column("Model", ".spec.model"),
            PHASE,
            DONE,
            _condition("Scored", "message", "Scores"),
            Column("Passed", ".status.verdict.passed", "boolean"),
            Column("Schedule", ".spec.schedule.cron"),
            LAST,
            AGE,
            Column("Target", ".status.target", wide=True),
            ETA,
            JOB,
            MESSAGE,
        ),
        selectable=(".spec.model", ".status.phase"),
    ),
    "KnowledgeBase": Listing(
        "kb",
        (
            PHASE,
            DONE,
            Column("Documents", ".status.documents", "integer"),
            Column("Chunks", ".status.chunks", "integer"),
            Column("Refresh", ".spec.refresh.cron"),
            LAST,
            AGE,
            Column("Collection", ".status.collection", wide=True),
            ETA,
            JOB,
            MESSAGE,
        ),
    ),
}
