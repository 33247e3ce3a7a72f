"""What the plan of a rollout knows: the world around it, what a person asks, and where it is. Pure; decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from modelyard.domain.evaluation import Verdict
from modelyard.domain.figures import VersionFigures
from modelyard.domain.rollout import COMMAND_ANNOTATION, TIME_ANNOTATION, VERSION_ANNOTATION, Command, Rollout, RolloutStatus


@dataclass(frozen=True)
class Request:
    """What a person asks of a rollout."""

    command: str
    version: str
    key: str
    """Tells this request from others; each is obeyed once."""


@dataclass(frozen=True)
class Evaluated:
    """What the evaluation beside a rollout gave."""

    verdict: Verdict | None = None
    """None: it is not scored yet."""
    message: str = ""
    """Why it is not, for people; empty while it is on its way."""


@dataclass(frozen=True)
class Situation:
    """The world around the rollout of one model."""

    rollout: Rollout | None
    """None: a new version takes over at once."""
    now: str
    """UTC, RFC 3339; empty where no time is known, and then none passes."""
    desired: str
    """The version that the spec asks for, passed or not; empty while it is not known."""
    passed: Mapping[str, int]
    """The versions that passed their gate → revision."""
    answering: frozenset[str] = frozenset()
    """The versions that answer now under their own names."""
    figures: Mapping[str, VersionFigures] | None = None
    """Counters by version."""
    request: Request | None = None
    evaluated: Evaluated = Evaluated()
    """Of the version that takes over; only looked at where the rollout asks for an evaluation."""


@dataclass(frozen=True)
class RolloutState:
    """Which version the model's name stands for, and the rollout that is on its way or was the last."""

    active: str = ""
    """The version that the model's name answers with, but for the share of a rollout; empty: none."""
    status: RolloutStatus | None = None
    rolled_back: frozenset[str] = frozenset()
    """Versions that get no requests until a person asks to try them again."""


def read_request(annotations: Mapping[str, str]) -> Request | None:
    """The command in a model's annotations; None where it is incomplete or unknown."""
    command, version = annotations.get(COMMAND_ANNOTATION, ""), annotations.get(VERSION_ANNOTATION, "")
    if command not in get_args(Command) or not version:
        return None
    return Request(command, version, " ".join([command, version, annotations.get(TIME_ANNOTATION, "")]).strip())
