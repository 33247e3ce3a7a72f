"""Judge a step of a rollout by what was counted and scored of the new version. Pure; knows no time and moves nothing."""

from dataclasses import dataclass

from modelyard.domain.evaluation import Verdict
from modelyard.domain.figures import VersionFigures, rounded
from modelyard.domain.rollout import Analysis, Rollout, RolloutStatus
from modelyard.domain.rollout_situation import Evaluated


@dataclass(frozen=True)
class StepAnalysis:
    """What is known of the step that a rollout is at."""

    rollout: Rollout
    status: RolloutStatus
    window: VersionFigures
    """What was counted of the new version since the step began."""
    evaluated: Evaluated | None
    """None where the rollout asks for no evaluation."""

    def breach(self) -> str:
        """Why the version has to be taken back; empty while nothing speaks against it."""
        requests = self.window.requests
        for rule in self.rollout.abort_if:
            value = self.window.figure(rule.metric)
            if self._has_enough and value is not None and value > rule.above:
                seen = f"{rule.metric} {rounded(value):g} is above {rule.above:g}"
                return f"{seen} at {self.status.weight} % ({counted(requests, 'request')})"
        if self._verdict is not None and not self._verdict.passed:
            return f"{self._verdict.reason} at {self.status.weight} %"
        return ""

    def lack(self) -> str:
        """What keeps the step from ending once its time is over; empty: nothing."""
        if not self._has_enough:
            return f"{self.rollout.min_requests} requests"
        if self.evaluated is not None and self.evaluated.verdict is None:
            return f"its evaluation{self.evaluated.message and f': {self.evaluated.message}'}"
        return ""

    def recorded(self, *, passed: bool) -> RolloutStatus:
        """The status with the figures and scores that the step ended with."""
        checks = self._verdict.checks if self._verdict else []
        scores = {check.metric: rounded(check.value) for check in checks if check.value is not None}
        analysis = Analysis(
            step=self.status.step,
            weight=self.status.weight,
            requests=self.window.requests,
            figures=self.window.figures() | scores,
            passed=passed,
        )
        return self.status.model_copy(update={"analyses": [*self.status.analyses, analysis]})

    @property
    def _has_enough(self) -> bool:
        return self.window.requests >= self.rollout.min_requests

    @property
    def _verdict(self) -> Verdict | None:
        return self.evaluated.verdict if self.evaluated else None


def counted(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
