"""Decide how far a new version has taken over. Pure: no I/O, no clock; the same state and situation give the same end."""

from dataclasses import replace
from typing import Any

from modelyard.domain.durations import seconds_between
from modelyard.domain.figures import VersionFigures
from modelyard.domain.rollout import Rollout, RolloutStatus
from modelyard.domain.rollout_analysis import StepAnalysis, counted
from modelyard.domain.rollout_situation import RolloutState, Situation, read_request

__all__ = ["RolloutState", "Situation", "plan_rollout", "read_request"]

MAX_MOVES = 16
"""More than any situation needs; a mistake here may hold up one rollout, never the operator."""


def plan_rollout(former: RolloutState, situation: Situation) -> RolloutState:
    """The state to be in now; asked again with it, the answer is the same until the situation changes."""
    state = former
    for _ in range(MAX_MOVES):
        later = _Move(state, situation).make()
        if later == state:
            break
        state = later
    return state


class _Move:
    """One move from a state. Every move that starts a step stamps it with `now`, so that the next one waits for its time."""

    def __init__(self, state: RolloutState, situation: Situation) -> None:
        self.state, self.world = state, situation
        self.active, self.status, self.rolled_back = state.active, state.status, state.rolled_back

    def make(self) -> RolloutState:
        """The next state, or the same one where nothing is to be done."""
        if (obeyed := self._obey()) is not None:
            return obeyed
        if self.active not in self.world.passed:
            return self._fall_back()
        target = self._target()
        if self.status is not None and self.status.live and target == self.status.version:
            return self._go_on(self.status)
        if self.status is not None and not self.status.live and self.status.receives:
            return self._return(self.status)
        if target != self.active:
            return self._start(target)
        if self.status is not None and self.status.live:
            return self._withdraw(self.status)
        return self.state

    def _target(self) -> str:
        """The version that is to be active in the end."""
        if self._may_serve(self.world.desired):
            return self.world.desired
        # While the next version is trained and scored, the rollout before it goes on.
        if self.status is not None and self.status.live and self._may_serve(self.status.version):
            return self.status.version
        return self.active

    def _may_serve(self, version: str) -> bool:
        return version in self.world.passed and version not in self.rolled_back

    def _obey(self) -> RolloutState | None:
        """Do what a person asks, once; None where there is nothing new to obey."""
        request, status = self.world.request, self.status
        if status is None:
            return None
        if request is None:  # taken away, so that the same one counts when it is given again
            return self._with(status, obeyed="") if status.obeyed else None
        if request.key == status.obeyed:
            return None
        if request.command == "retry":
            if request.version not in self.rolled_back:
                return None
            return self._with(status, rolled_back=self.rolled_back - {request.version}, obeyed=request.key)
        if request.version != status.version:
            return None
        if request.command == "promote" and status.live:
            if request.version not in self.world.answering or not self._may_serve(request.version):
                return None  # kept until the version is loaded
            return self._promote(status, f"promoted by hand at {status.weight} %", obeyed=request.key)
        status = status.model_copy(update={"obeyed": request.key})
        if request.command == "pause" and status.phase == "Progressing":
            return self._with(status, phase="Paused", since=self.world.now, message=_paused(status.weight))
        if request.command == "resume" and status.phase == "Paused":
            return self._begin(status.model_copy(update={"phase": "Progressing"}), status.step)
        if request.command in ("abort", "undo") and status.live:
            return self._take_back(status, "Aborted", f"aborted by hand at {status.weight} %")
        if request.command == "undo" and status.phase == "Promoted" and status.version == self.active:
            return self._undo(status)
        return self._with(status)

    def _fall_back(self) -> RolloutState:
        """The active version no longer passes its gate, or is gone: the best of the others takes over, if there is one."""
        allowed = {version: revision for version, revision in self.world.passed.items() if version not in self.rolled_back}
        live = self.status.version if self.status is not None and self.status.live else ""
        best = max(allowed, key=lambda version: (version == self.world.desired, version == live, allowed[version]), default="")
        active = replace(self.state, active=best)
        if self.status is None or not self.status.receives:
            return active
        if self.status.version == best:
            return replace(self._promote(self.status, "the version before it no longer passes its gate"), active=best)
        return replace(active, status=self._ended(self.status, "Aborted", "no version of this rollout passes its gate any more"))

    def _start(self, target: str) -> RolloutState:
        """Begin with a version that passed its gate: load it, or hand everything over where no rollout is asked for."""
        obeyed = self.status.obeyed if self.status is not None else ""
        status = RolloutStatus(version=target, previous=self.active, phase="Progressing", since=self.world.now, obeyed=obeyed)
        if self.world.rollout is None:
            return self._promote(status, "no rollout was asked for")
        return self._with(status, message=_loading(target))

    def _go_on(self, status: RolloutStatus) -> RolloutState:
        rollout = self.world.rollout
        if rollout is None and status.phase == "Progressing":
            return self._promote(status, "no rollout is asked for any more")
        if rollout is None or (status.phase == "Paused" and status.step == 0):
            return self.state
        if status.step == 0:
            return self._begin(status, 1) if status.version in self.world.answering else self.state
        if status.weight != rollout.weight(status.step):
            return self._begin(status, status.step)
        return self._judge(status, rollout)

    def _judge(self, status: RolloutStatus, rollout: Rollout) -> RolloutState:
        """Take the version back if it broke a rule, go on if the step held for its time, else wait."""
        window = self._window(status)
        if window is None:  # another gateway counts from zero, so the step begins anew
            return self._with(status, snapshot=VersionFigures(), since=self.world.now)
        step = StepAnalysis(rollout, status, window, self.world.evaluated if rollout.evaluation else None)
        if breach := step.breach():
            return self._take_back(step.recorded(passed=False), "RolledBack", breach)
        elapsed_s = seconds_between(status.since, self.world.now)
        if status.phase == "Paused":
            return self.state
        if elapsed_s < 0:  # another clock began this step, and it was ahead
            return self._with(status, since=self.world.now)
        if elapsed_s < rollout.interval_s or status.version not in self.world.answering:
            return self.state
        if lack := step.lack():
            return self._with(status, message=f"{_told(status.step, rollout)}; its time is over, and it waits for {lack}")
        held = step.recorded(passed=True)
        if status.step < len(rollout.steps):
            return self._begin(held, status.step + 1)
        return self._promote(held, f"held {counted(len(held.analyses), 'step')}")

    def _window(self, status: RolloutStatus) -> VersionFigures | None:
        """What was counted since the step began; None where the counters began anew."""
        counters = (self.world.figures or {}).get(status.version)
        return VersionFigures() if counters is None else counters.since(status.snapshot)

    def _begin(self, status: RolloutStatus, step: int) -> RolloutState:
        """Start a step, or start it again; a rollout that is paused stays so."""
        rollout = self.world.rollout
        if rollout is None or step == 0:
            return self._with(status, since=self.world.now, message=_loading(status.version))
        weight = rollout.weight(step)
        return self._with(
            status,
            step=step,
            weight=weight,
            since=self.world.now,
            snapshot=(self.world.figures or {}).get(status.version, VersionFigures()),
            message=_paused(weight) if status.phase == "Paused" else _told(step, rollout),
        )

    def _promote(self, status: RolloutStatus, message: str, obeyed: str | None = None) -> RolloutState:
        kept = status.obeyed if obeyed is None else obeyed
        ended = status.model_copy(update={"phase": "Promoted", "weight": 100, "since": self.world.now, "message": message, "obeyed": kept})
        return replace(self.state, active=status.version, status=ended.model_copy(update={"snapshot": VersionFigures()}))

    def _take_back(self, status: RolloutStatus, phase: str, message: str) -> RolloutState:
        """End with the version before; this one is not tried again."""
        return replace(self.state, status=self._ended(status, phase, message), rolled_back=self.rolled_back | {status.version})

    def _withdraw(self, status: RolloutStatus) -> RolloutState:
        """The version lost its gate, or the spec went back to the active one: end, with no word against trying it later."""
        lost = status.version not in self.world.passed
        message = f"{status.version} no longer passes its gate" if lost else f"the spec asks for {self.active} again"
        return replace(self.state, status=self._ended(status, "Aborted", message))

    def _undo(self, status: RolloutStatus) -> RolloutState:
        """Go back after the promotion: everything stays with the version until the one before is loaded again."""
        if status.previous not in self.world.passed or status.previous in self.rolled_back:
            return self._with(status, message=f"cannot be undone: there is no version {status.previous or 'before it'} to go back to")
        undone = status.model_copy(update={"phase": "RolledBack", "since": self.world.now, "snapshot": VersionFigures()})
        undone = undone.model_copy(update={"message": f"undone by hand; goes back once {status.previous} is loaded"})
        return replace(self.state, active=status.previous, status=undone, rolled_back=self.rolled_back | {status.version})

    def _return(self, status: RolloutStatus) -> RolloutState:
        if status.previous not in self.world.answering:
            return self.state
        return self._with(status, weight=0, message="undone by hand")

    def _ended(self, status: RolloutStatus, phase: str, message: str) -> RolloutStatus:
        changes = {"phase": phase, "weight": 0, "since": self.world.now, "message": message, "snapshot": VersionFigures()}
        return status.model_copy(update=changes)

    def _with(self, status: RolloutStatus, rolled_back: frozenset[str] | None = None, **changes: Any) -> RolloutState:
        kept = self.rolled_back if rolled_back is None else rolled_back
        return replace(self.state, status=status.model_copy(update=changes), rolled_back=kept)


def _told(step: int, rollout: Rollout) -> str:
    return f"step {min(step, len(rollout.steps))} of {len(rollout.steps)}: {rollout.weight(step)} % of the requests for {rollout.interval}"


def _loading(version: str) -> str:
    return f"waits until {version} is loaded"


def _paused(weight: int) -> str:
    return f"paused by hand at {weight} %"
