"""The root cause of what does not run, and how it is told. Pure; knows no source of causes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
"""An object as the Kubernetes API gives it."""

MAX_QUOTED = 240
"""Characters of somebody else's words that a message repeats."""


@dataclass(frozen=True)
class Cause:
    """Why something does not run, or ended."""

    reason: str
    """One CamelCase word for programs: one of `causes.PRECEDENCE`."""
    message: str
    """For people, in one line: the root cause, the object, and after `; ` the remedy."""
    retryable: bool
    """Whether the same may succeed later without a change by the user."""
    object: str
    """KIND/NAME of what tells it."""


def name_of(document: Document) -> str:
    """KIND/NAME."""
    return f"{document.get('kind') or 'Pod'}/{document['metadata']['name']}"


def shortened(text: str) -> str:
    """Somebody else's words on one line, the end cut off if they are long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTED else f"{line[: MAX_QUOTED - 1]}…"


def last_line(log: str) -> str:
    """The last line of a log that says something; empty if none does."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return shortened(lines[-1]) if lines else ""
