"""What users write of a rollout, and what is remembered of one. Knows no gateway and decides nothing."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.durations import parse_duration, seconds_between
from modelyard.domain.evaluation import MAX_GATES, MAX_SUITES, Gate, Suite, check_suites
from modelyard.domain.figures import BOUNDS_S, METRICS, Metric, VersionFigures

COMMAND_ANNOTATION = "modelyard.io/rollout"
"""What a person asks of a rollout: a `Command`."""
VERSION_ANNOTATION = "modelyard.io/rollout-version"
"""The ModelVersion that is meant; a command without it, or for another version, is not obeyed."""
TIME_ANNOTATION = "modelyard.io/rollout-at"
"""Optional. Any text that tells a command from the same one given before, such as the time; each is obeyed once."""

Command = Literal["pause", "resume", "promote", "abort", "undo", "retry"]

MIN_INTERVAL_S = 1.0
LINGER_S = 30.0
"""How long the version that lost stays loaded after a rollout: gateways go on sending to it until they have the new routes."""


class AbortRule(Spec):
    """A bar that ends a rollout when the new version goes above it."""

    metric: Metric
    """A figure of the new version since the step began. `ttft` is the time to the first text."""
    above: float = Field(ge=0.0)
    """A share of the requests for `error_rate`, seconds for all others."""

    @model_validator(mode="after")
    def _can_be_broken(self) -> Self:
        if self.metric == "error_rate" and self.above >= 1:
            raise ValueError(f"error_rate never goes above {self.above:g}; write a share of the requests, such as 0.01 for 1 %")
        if self.metric != "error_rate" and self.above >= BOUNDS_S[-1]:
            raise ValueError(
                f"{self.metric} is not measured above {BOUNDS_S[-1]:g} s; write less than {BOUNDS_S[-1]:g} instead of {self.above:g}"
            )
        return self


class OnlineEvaluation(Spec):
    """What the new version is asked while it serves.

    It is scored from its weights, as before its gate, and anew whenever the rows of a suite change: a suite may be a
    growing sample of what people really ask.
    """

    suites: list[Suite] = Field(min_length=1, max_length=MAX_SUITES)
    """What the new version is asked; each name at most once."""
    gate: list[Gate] = Field(min_length=1, max_length=MAX_GATES)
    """The bars that it must clear, all of them; `active` is the version that it takes over from."""

    @model_validator(mode="after")
    def _gate_fits(self) -> Self:
        check_suites(self.suites, self.gate)
        return self


class Rollout(Spec):
    """How a new version takes over from the one before: by steps, each judged by the figures of the new version.

    Both versions are loaded until the last step held. On one base they are two adapters of one engine; where the base
    differs, both engines run at once and need room for both.
    """

    steps: list[Annotated[int, Field(ge=1, le=99)]] = Field(min_length=1, max_length=20)
    """Percent of the requests that go to the new version, step by step, ascending; 100 follows the last step by itself."""
    interval: str = Field(default="5m", pattern=r"^([0-9]+(\.[0-9]+)?[dhms])+$")
    """Time such as 30s, 5m or 1h30m that each step has to hold. At least 1s."""
    min_requests: int = Field(default=0, ge=0)
    """Requests to the new version that a step waits for before it is judged, by time or by a rule; 0: time alone counts."""
    abort_if: list[AbortRule] = Field(default=[], max_length=len(METRICS))
    """Any of these takes the version back at once, and it is not tried again."""
    evaluation: OnlineEvaluation | None = None
    """No step ends before this is scored; a missed bar takes the version back."""

    @property
    def interval_s(self) -> float:
        """Seconds."""
        return parse_duration(self.interval)

    def weight(self, step: int) -> int:
        """Percent at a step, counted from 1; a step beyond the last is the last."""
        return self.steps[min(step, len(self.steps)) - 1]

    @field_validator("steps")
    @classmethod
    def _ascending(cls, steps: list[int]) -> list[int]:
        for before, after in zip(steps, steps[1:], strict=False):
            if after <= before:
                raise ValueError(f"{after} follows {before}; write the percentages in ascending order: {sorted(set(steps))}")
        return steps

    @field_validator("interval")
    @classmethod
    def _long_enough(cls, interval: str) -> str:
        if re.fullmatch(r"([0-9]+(\.[0-9]+)?[dhms])+", interval) and parse_duration(interval) < MIN_INTERVAL_S:
            raise ValueError(f"{interval} is shorter than 1s; write at least 1s")
        return interval

    @field_validator("abort_if")
    @classmethod
    def _one_rule_a_metric(cls, rules: list[AbortRule]) -> list[AbortRule]:
        metrics = [rule.metric for rule in rules]
        for metric in metrics:
            if metrics.count(metric) > 1:
                raise ValueError(f"{metric} has {metrics.count(metric)} rules; keep the one with the lowest `above`")
        return rules


class Analysis(Spec):
    """The figures that a step ended with."""

    step: int
    """Counted from 1."""
    weight: int
    """Percent of the requests."""
    requests: int
    """To the new version since the step began."""
    figures: dict[str, float] = {}
    """Metric → value; what was not measured is left out."""
    passed: bool
    """Whether no rule was broken."""


class RolloutStatus(Spec):
    """Where a rollout is: all that is needed to go on with it after a restart."""

    version: str
    """The new version."""
    previous: str = ""
    """The version that it takes over from, and that a rollback goes back to."""
    phase: Literal["Progressing", "Paused", "Promoted", "RolledBack", "Aborted"]
    """`RolledBack` by a rule, or by hand after the promotion; `Aborted` by hand or by another spec before it."""
    step: int = 0
    """Counted from 1; 0 while the new version is loaded."""
    weight: int = Field(default=0, ge=0, le=100)
    """Percent of the requests to the model's name that go to `version`."""
    since: str = ""
    """UTC, RFC 3339: when the step, or the end, began."""
    message: str = ""
    """One sentence for people."""
    snapshot: VersionFigures = VersionFigures()
    """The counters of `version` when the step began."""
    analyses: list[Analysis] = []
    """One for each step that ended."""
    obeyed: str = ""
    """The last command that was obeyed, so that it is not obeyed again."""

    @property
    def live(self) -> bool:
        """Whether the rollout goes on: it wants to be looked at again before anything else changes."""
        return self.phase in ("Progressing", "Paused")

    @property
    def receives(self) -> bool:
        """Whether `version` may get a share beside `previous`. True for a moment after an undo, until `previous` is there."""
        return self.live or (self.phase != "Promoted" and self.weight > 0)

    def beside(self, now: str) -> str:
        """The version that is loaded beside the active one at a time (UTC, RFC 3339); empty: none."""
        if self.receives:
            return self.version
        lingers = self.step > 0 and seconds_between(self.since, now) < LINGER_S
        return (self.previous if self.phase == "Promoted" else self.version) if lingers else ""
