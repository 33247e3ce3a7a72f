"""The plan of an Evaluation: score the version that a model answers with, once or at each tick. Pure."""

from dataclasses import dataclass

from modelyard.domain.evaluation import Evaluation, EvaluationRun, EvaluationStatus, Score, Verdict, suite_inputs
from modelyard.domain.gate import judge
from modelyard.domain.job import EvaluateJob, EvaluateResult
from modelyard.domain.model import ModelVersion
from modelyard.domain.names import job_name
from modelyard.domain.observed import JobSeen, Observed, Plan, RemoveResource, SetStatus
from modelyard.domain.refresh import REFRESH_ANNOTATION, Marks, Occasion, follow_after_failure, is_under_way
from modelyard.domain.stage import Draft

MAX_HISTORY = 10
"""Runs that a status tells of."""


def plan_evaluation(evaluation: Evaluation, seen: Observed) -> Plan:
    """What must change so that the suites are scored.

    Without a schedule a finished evaluation stays with the version it asked, and follows the rows. With one, each tick
    asks the version that is active then on the rows as they are then; nothing is asked anew where both are as before.
    """
    if evaluation.metadata.deletion_timestamp:
        return Plan(steps=(RemoveResource(),))
    return _EvaluationPlan(evaluation, seen).build()


@dataclass(frozen=True)
class _Run:
    """What is asked now."""

    number: int = 0
    target: str = ""
    """Name of a ModelVersion; empty: none could be chosen yet."""
    digests: dict[str, str] | None = None
    """None: the rows cannot be read, or their digests are not needed since the scores are kept."""


class _EvaluationPlan:
    def __init__(self, evaluation: Evaluation, seen: Observed) -> None:
        self.evaluation, self.spec, self.former = evaluation, evaluation.spec, evaluation.status
        self.draft = Draft(seen, evaluation.metadata.generation, evaluation.status.conditions)
        self.versions = {version.metadata.name: version for version in seen.versions}
        self.inputs = suite_inputs(self.spec.suites)
        former = Marks(self.former.last_schedule_time, self.former.next_schedule_time, self.former.refreshed)
        self.occasion = Occasion(self.spec.schedule, evaluation.metadata.annotations.get(REFRESH_ANNOTATION, ""), former, seen.now)

    def build(self) -> Plan:
        run, marks = self._choose_run()
        scores = self._score(run, run.target)
        verdict = self._judge(run, scores) if scores is not None else None
        status = EvaluationStatus(
            observed_generation=self.evaluation.metadata.generation,
            phase=self.draft.phase,
            conditions=self.draft.conditions,
            progress=self.draft.progress,
            job=self.draft.job or self.former.job,
            target=run.target,
            scores=scores or [],
            verdict=verdict,
            run=run.number,
            suite_digests=(run.digests or {}) if self.spec.schedule else {},
            last_schedule_time=marks.last_schedule_time,
            next_schedule_time=marks.next_schedule_time,
            refreshed=marks.refreshed,
            history=self._history(run, marks, scores, verdict),
        )
        if status != self.former:
            self.draft.steps.append(SetStatus(status))
        return Plan(steps=tuple(self.draft.steps), jobs=frozenset(self.draft.jobs))

    def _choose_run(self) -> tuple[_Run, Marks]:
        """The run of before, or a new one where there is an occasion; never two at once."""
        former = _Run(self.former.run, self.former.target, self.former.suite_digests)
        if self._begins_anew():
            former = _Run(self.former.run)
        elif not self.occasion.is_due or self._is_open(former):
            return self._go_on(former), self.occasion.waiting()
        version = self._find_active()
        digests = self.draft.digests("Scored", self.inputs) if version else None
        if version is None or digests is None:
            return _Run(former.number, former.target, former.digests if former.target else None), self.occasion.waiting()
        return _Run(former.number + 1, version.metadata.name, digests), self.occasion.taken()

    def _begins_anew(self) -> bool:
        """Whether what was asked before says nothing about what is asked for now."""
        former = self.former
        if former.observed_generation != self.evaluation.metadata.generation or not former.target:
            return True
        # A version that was retired since leaves its scores until the next tick.
        kept = self.spec.schedule is not None and former.scores
        return former.target not in self.versions and not kept

    def _is_open(self, former: _Run) -> bool:
        """Whether the run of before still comes to its end, or did and is not told of in the history yet."""
        seen, told = self._seen(former), self.former.history
        untold = self.spec.schedule is not None and (not told or told[0].run != former.number)
        return is_under_way(seen) or (untold and seen is not None and seen.phase == "succeeded")

    def _go_on(self, former: _Run) -> _Run:
        """The run of before: on the rows of its tick, or without a schedule on the rows as they are."""
        if self._model_is_missing() or former.target not in self.versions:
            return former
        if self.spec.schedule is None:
            return _Run(former.number, former.target, self.draft.digests("Scored", self.inputs))
        digests = follow_after_failure(self.draft, self.inputs, former.digests or {}, self._seen(former))
        return _Run(former.number, former.target, digests)

    def _find_active(self) -> ModelVersion | None:
        """The version that answers now; states why there is none."""
        model = self.draft.seen.model
        if self._model_is_missing() or model is None:
            return None
        version = self.versions.get(model.status.active_version)
        if version is None:
            self.draft.wait("Scored", "Pending", "NoActiveVersion", f"Model {self.spec.model!r} has no version that passed its gate yet")
        return version

    def _model_is_missing(self) -> bool:
        missing = self.draft.seen.model is None
        if missing:
            message = f"there is no Model {self.spec.model!r}; apply one or correct spec.model"
            self.draft.wait("Scored", "Pending", "ModelNotFound", message)
        return missing

    def _score(self, run: _Run, version: str, *, base: bool = False) -> list[Score] | None:
        """What a version, or its untuned base, scores on the rows of a run; None after stating what that waits for."""
        if self.draft.waiting or not run.target:
            return None
        if version not in self.versions:
            return self.former.scores
        document = self.draft.run(self._job(run, version, base=base), "Scored", "Running")
        return None if document is None else EvaluateResult.model_validate_json(document).scores

    def _judge(self, run: _Run, scores: list[Score]) -> Verdict | None:
        """The verdict once what the bars compare with is scored on the same rows; that of before for a version that was retired."""
        draft, references = self.draft, {gate.not_worse_than or gate.better_than for gate in self.spec.gate}
        verdict: Verdict | None = self.former.verdict
        if run.target in self.versions:
            active = draft.seen.model.status.active_version if draft.seen.model else run.target
            of_base = self._score(run, run.target, base=True) if "base" in references else None
            of_active = self._score(run, active) if "active" in references and active in self.versions else None
            if draft.waiting:
                return None
            verdict = judge(self.spec.gate, scores, base=of_base, active=of_active)
        if verdict is None:
            return None
        draft.state("Scored", "True", "Scored", ", ".join(f"{score.metric} {score.value:.3f}" for score in scores[:3]))
        draft.phase = "Passed" if verdict.passed else "Rejected"
        draft.state("Ready", "True" if verdict.passed else "False", "GatePassed" if verdict.passed else "GateRejected", verdict.reason)
        return verdict

    def _history(self, run: _Run, marks: Marks, scores: list[Score] | None, verdict: Verdict | None) -> list[EvaluationRun]:
        """The runs of before, and this one once it is judged; none where there is only one run anyway."""
        told = self.former.history
        is_repeated = self.spec.schedule is not None or marks.refreshed
        if scores is None or verdict is None or not is_repeated or (told and told[0].run == run.number):
            return told
        means = {score.metric: score.value for score in scores}
        newest = EvaluationRun(run=run.number, time=self.draft.seen.now, target=run.target, passed=verdict.passed, scores=means)
        return [newest, *told][:MAX_HISTORY]

    def _seen(self, run: _Run) -> JobSeen | None:
        """The job of a run as it is now; None where there is none, or nobody can tell."""
        seen = self.draft.seen
        digests = run.digests
        if self.spec.schedule is None:
            digests = {name: seen.digests[uri] for name, uri in self.inputs.items() if uri in seen.digests}
        return (
            seen.jobs.get(job_name(self._job(_Run(run.number, run.target, digests), run.target))) if run.target in self.versions else None
        )

    def _job(self, run: _Run, name: str, *, base: bool = False) -> EvaluateJob:
        version = self.versions[name]
        return EvaluateJob(
            store=self.draft.seen.platform.store,
            base_digest=version.spec.base_digest if base else version.served_base,
            adapter_digest="" if base else version.status.adapter_digest,
            tuned=not base and bool(version.status.weights_digest),
            suites=self.spec.suites,
            suite_digests=run.digests or {},
        )
