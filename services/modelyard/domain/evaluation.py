"""The Evaluation resource, and the suites, scores and gates that a Model shares with it."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from modelyard.domain.base import Spec
from modelyard.domain.resource import MAX_URI, NAME_PATTERN, Condition, Progress, Resource
from modelyard.domain.schedule import Schedule

MAX_SUITES = 32
MAX_GATES = 64


class FewShot(Spec):
    """Worked examples put before the question, so that an untuned base gets its best chance."""

    uri: str = Field(min_length=1, max_length=MAX_URI)
    """Rows in the suite's own format; the first ones are shown."""
    counts: list[NonNegativeInt] = Field(default=[0, 3], min_length=1)
    """Each is tried on the base; the best one is its score. A tuned version is always asked with none."""


class Suite(Spec):
    """Held-out rows with known answers."""

    name: str = Field(pattern=NAME_PATTERN, max_length=63)
    """The first half of its metrics' names: lower-case letters, digits and `-`; at most 63 characters."""
    uri: str = Field(min_length=1, max_length=MAX_URI)
    """Chat rows, one JSON object a line; the last assistant message is the expected answer.
    Any fsspec URI, or a path relative to the manifest."""
    scorer: Literal["auto", "text", "json-record"] = "auto"
    """`json-record` where each expected answer is a JSON object; `auto` looks."""
    max_tokens: int = Field(default=256, ge=1)
    """Longer answers are cut there."""
    limit: int | None = Field(default=None, ge=1)
    """Ask only the first rows."""
    few_shot: FewShot | None = None


def check_suites(suites: Sequence[Suite], gate: Sequence["Gate"]) -> None:
    """Raise ValueError for two suites of one name, or a gate on a suite that is not there."""
    names = [suite.name for suite in suites]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"suite {name!r} is given {names.count(name)} times; give each suite a name of its own")
    for bar in gate:
        if bar.metric.partition(".")[0] not in names:
            raise ValueError(f"gate metric {bar.metric!r} names no suite; write SUITE.METRIC with one of {sorted(names)}")


def suite_inputs(suites: Sequence[Suite]) -> dict[str, str]:
    """What the scores of suites depend on: name of the input → URI."""
    inputs = {suite.name: suite.uri for suite in suites}
    return inputs | {f"{suite.name}/fewShot": suite.few_shot.uri for suite in suites if suite.few_shot}


class Score(Spec):
    """The mean of one metric over the rows of a suite."""

    metric: str
    """SUITE.METRIC."""
    value: float
    """The mean over the rows."""
    low: float
    """Lower end of the 95 % bootstrap interval."""
    high: float
    """Upper end of the 95 % bootstrap interval."""
    rows: int
    """How many were asked."""


class Gate(Spec):
    """One bar that a version must clear. Exactly one comparison."""

    metric: str = Field(pattern=r"^[^.]+\.[^.]+$", max_length=128)
    """SUITE.METRIC."""
    at_least: float | None = None
    """The lowest value that passes."""
    at_most: float | None = None
    """The highest value that passes."""
    not_worse_than: Literal["base", "active"] | None = None
    """Compare with the untuned base, or with the version that is served now."""
    better_than: Literal["base", "active"] | None = None
    """Compare with the untuned base, or with the version that is served now."""
    margin: float = Field(default=0.0, ge=0.0)
    """How much worse is still fine (`notWorseThan`), or how much better is asked for (`betterThan`)."""

    @model_validator(mode="after")
    def _one_comparison(self) -> Self:
        given = [
            name
            for name, value in {
                "atLeast": self.at_least,
                "atMost": self.at_most,
                "notWorseThan": self.not_worse_than,
                "betterThan": self.better_than,
            }.items()
            if value is not None
        ]
        if len(given) != 1:
            raise ValueError(
                f"gate on {self.metric!r} has {', '.join(given) or 'no comparison'}; "
                "give exactly one of atLeast, atMost, notWorseThan, betterThan"
            )
        return self


class Check(Spec):
    """What one bar of a gate said."""

    metric: str
    """SUITE.METRIC."""
    bar: str
    """For people: `at least 0.8`."""
    value: float | None = None
    """The score; absent where there is none."""
    passed: bool
    """Whether the bar was cleared."""
    reason: str
    """For people: `field_score 0.61 misses at least 0.8`."""


class Verdict(Spec):
    """What a gate said; passed when every check did."""

    passed: bool
    """Whether every check passed."""
    checks: list[Check] = []
    """One for each bar of the gate."""

    @property
    def reason(self) -> str:
        """The failed checks, or all of them when none failed."""
        failed = [check.reason for check in self.checks if not check.passed]
        return "; ".join(failed or [check.reason for check in self.checks]) or "no gate"


class EvaluationSpec(Spec):
    """A run of suites against a model that is already there."""

    model: str = Field(pattern=NAME_PATTERN, max_length=63)
    """The Model whose active version, else base, is asked."""
    suites: list[Suite] = Field(min_length=1, max_length=MAX_SUITES)
    """What is asked; each name at most once."""
    gate: list[Gate] = Field(default=[], max_length=MAX_GATES)
    """The bars that decide between Passed and Rejected; none: Passed."""
    schedule: Schedule | None = None
    """When the version that is active then is asked, on the rows as they are then. A run begins with the resource, too.
    Without it there is one run, which stays with its version and follows the rows."""

    @model_validator(mode="after")
    def _gate_fits(self) -> Self:
        check_suites(self.suites, self.gate)
        return self


class EvaluationRun(Spec):
    """What one run gave."""

    run: int
    """Counted from 1."""
    time: str
    """When its scores were there: UTC, RFC 3339."""
    target: str
    """The ModelVersion that was asked."""
    passed: bool
    """What the gate said."""
    scores: dict[str, float] = {}
    """SUITE.METRIC → the mean over the rows."""


class EvaluationStatus(Spec):
    """What the run gave."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: Literal["Pending", "Running", "Passed", "Rejected", "Failed", "Deleting"] = "Pending"
    """Where it is, for people; programs read the conditions."""
    conditions: list[Condition] = []
    """One fact for each stage, and Ready over all."""
    progress: Progress | None = None
    """Of the job that runs now."""
    job: str = ""
    """The job that runs, or ran last."""
    target: str = ""
    """The ModelVersion that was asked."""
    scores: list[Score] = []
    """What it scored."""
    verdict: Verdict | None = None
    """What the gate said."""
    run: int = 0
    """How many runs began: with the resource, at a tick, by hand, or after a change of the spec."""
    suite_digests: dict[str, str] = {}
    """Suite → sha256 of the rows of this run; other rows wait for the next one."""
    last_schedule_time: str = ""
    """The tick that was taken up last: UTC, RFC 3339."""
    next_schedule_time: str = ""
    """The tick after it; in the past while it waits for something, such as the run before."""
    refreshed: str = ""
    """The value of the annotation `modelyard.io/refresh` that was taken up last."""
    history: list[EvaluationRun] = []
    """The last runs of a schedule, or by hand: the newest first."""


class Evaluation(Resource):
    """Suites that a model is asked: once, or again and again by a schedule."""

    kind: Literal["Evaluation"] = "Evaluation"
    spec: EvaluationSpec
    status: EvaluationStatus = EvaluationStatus()
