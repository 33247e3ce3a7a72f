"""The plan of a Model: fetch → version → train → evaluate → gate → roll out → serve → retire. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from modelyard.domain.evaluation import Score, Suite, Verdict, suite_inputs
from modelyard.domain.gate import judge
from modelyard.domain.job import EvaluateJob, EvaluateResult, FetchResult, TrainJob, TrainResult
from modelyard.domain.model import Model, ModelStatus, ModelVersion, ModelVersionSpec, ModelVersionStatus
from modelyard.domain.model_serving import state_serving
from modelyard.domain.names import version_name, version_served_name
from modelyard.domain.observed import (
    CreateVersion,
    DeleteVersion,
    Observed,
    Plan,
    RemoveResource,
    SetStatus,
    SetVersionStatus,
)
from modelyard.domain.refresh import Marks
from modelyard.domain.retraining import choose_rows
from modelyard.domain.rollout_evaluation import evaluate_online
from modelyard.domain.rollout_plan import RolloutState, Situation, plan_rollout, read_request
from modelyard.domain.room import find_lack
from modelyard.domain.routing import build_engines, build_routes
from modelyard.domain.stage import Draft


def plan_model(model: Model, seen: Observed) -> Plan:
    """What must change so that a model is fetched, tuned, scored and served as asked."""
    if model.metadata.deletion_timestamp:
        return Plan(steps=(*(DeleteVersion(version.metadata.name) for version in seen.versions), RemoveResource()))
    return _ModelPlan(model, seen).build()


def build_train_job(name: str, spec: ModelVersionSpec, store: str, suites: Sequence[Suite] = ()) -> TrainJob | None:
    """The run that makes a version; None for one that is not tuned. suites: those that will score it; they do not change its name."""
    if spec.fine_tune is None:
        return None
    return TrainJob(
        store=store,
        version=name,
        base_digest=spec.base_digest,
        fine_tune=spec.fine_tune,
        dataset_digest=spec.dataset_digest,
        suites={suite.name: suite.uri for suite in suites},
    )


class _ModelPlan:
    """One walk down the chain; each stage returns None when the chain has to wait there."""

    def __init__(self, model: Model, seen: Observed) -> None:
        self.model, self.spec, self.seen = model, model.spec, seen
        self.draft = Draft(seen, model.metadata.generation, model.status.conditions, suspended=model.spec.suspend)
        self.versions = {version.metadata.name: version for version in seen.versions}
        self.statuses = {name: version.status for name, version in self.versions.items()}
        self.desired = ""
        self.base_digest = ""
        self.marks = Marks(refreshed=model.status.refreshed)

    def build(self) -> Plan:
        outcome = self._develop()
        state = self._roll_out()
        loaded = self._loaded(state)
        serving = self.spec.serving
        weight = state.status.weight if state.status and state.status.receives else 0
        routes = build_routes(self.model, serving, loaded, weight) if serving else ()
        if outcome is not None and outcome.phase == "Passed":
            state_serving(self.draft, self.model, outcome.message, self.desired, routes, state)
        self._record_versions()
        self._retire(state)
        status = ModelStatus(
            observed_generation=self.model.metadata.generation,
            phase=self.draft.phase,
            conditions=self.draft.conditions,
            progress=self.draft.progress,
            job=self.draft.job or self.model.status.job,
            version=self.desired,
            active_version=state.active,
            rollout=state.status,
            rolled_back_versions=sorted(state.rolled_back),
            served_names=sorted(route.name for route in routes if route.name in self.seen.answering),
            refreshed=self.marks.refreshed,
        )
        if status != self.model.status:
            self.draft.steps.append(SetStatus(status))
        return Plan(
            steps=tuple(self.draft.steps),
            jobs=frozenset(self.draft.jobs),
            held=frozenset(self.draft.held),
            routes=routes,
            engines=build_engines(serving, loaded) if serving else (),
        )

    def _develop(self) -> ModelVersionStatus | None:
        """The status of the version that the spec asks for, once its verdict is there."""
        fetched = self.draft.fetch(self.spec.source, "causal-lm", "Fetched")
        if fetched is None:
            return None
        self.base_digest = fetched.digest
        if not self._fits(fetched):
            return None
        dataset_digest: str | None = ""
        if self.spec.fine_tune:
            dataset_digest, self.marks = choose_rows(self.model, self.base_digest, self.versions.values(), self.draft, self._train_job)
            if dataset_digest is None:
                return None
        self._ensure_version(dataset_digest or "")
        suites = self._suite_digests()
        if suites is None:
            return None
        return self._work(suites)

    def _fits(self, fetched: FetchResult) -> bool:
        """Whether the platform has what is asked for; states why not."""
        lack = find_lack(self.spec, fetched, self.seen)
        if lack is not None:
            self.draft.fail(lack.condition, lack.reason, lack.message)
        return lack is None

    def _ensure_version(self, dataset_digest: str) -> None:
        self.desired = version_name(self.model.metadata.name, self.base_digest, self.spec.fine_tune, dataset_digest)
        if self.desired in self.versions:
            self.version_spec = self.versions[self.desired].spec
            return
        self.version_spec = ModelVersionSpec(
            model=self.model.metadata.name,
            source=self.spec.source,
            base_digest=self.base_digest,
            fine_tune=self.spec.fine_tune,
            dataset_digest=dataset_digest,
            revision=1 + max((version.spec.revision for version in self.versions.values()), default=0),
        )
        self.draft.steps.append(CreateVersion(self.desired, self.version_spec))
        self.statuses[self.desired] = ModelVersionStatus()

    def _suite_digests(self) -> dict[str, str] | None:
        if self.spec.evaluation is None:
            return {}
        return self.draft.digests("Evaluated", suite_inputs(self.spec.evaluation.suites))

    def _work(self, suites: dict[str, str]) -> ModelVersionStatus | None:
        """Train, evaluate, judge. The base is scored first, so that people see the figure to beat."""
        base_scores = self._evaluate(None, suites) if self.spec.fine_tune and suites else []
        trained = self._train() if self.version_spec.fine_tune else None
        if (trained is None and self.version_spec.fine_tune) or base_scores is None:
            self._mark("Training")
            return None
        scores = self._evaluate(trained, suites) if suites else []
        if scores is None:
            self._mark("Evaluating")
            return None
        verdict = self._judge(scores, base_scores)
        adapter_digest = trained.digest if trained and trained.kind == "adapter" else ""
        status = ModelVersionStatus(
            phase="Passed" if verdict.passed else "Rejected",
            adapter_digest=adapter_digest,
            adapter_uri=f"{self.seen.platform.store}/{adapter_digest}" if adapter_digest else "",
            weights_digest=trained.digest if trained and trained.kind != "adapter" else "",
            scores=list(scores),
            base_scores=list(base_scores),
            verdict=verdict,
            message=verdict.reason,
        )
        self.statuses[self.desired] = status
        return status

    def _mark(self, phase: str) -> None:
        """Record how far the version is; one that passed before stays so until it is judged anew."""
        if self.statuses[self.desired].phase == "Passed":
            return
        failed = self.draft.phase == "Failed"
        message = self.draft.conditions[-1].message if failed else ""
        self.statuses[self.desired] = ModelVersionStatus(phase="Failed" if failed else phase, message=message)

    def _train_job(self, version: ModelVersion) -> TrainJob | None:
        return build_train_job(version.metadata.name, version.spec, self.seen.platform.store)

    def _train(self) -> TrainResult | None:
        """What was trained, or None while it is not there yet."""
        suites = self.spec.evaluation.suites if self.spec.evaluation else []
        job = build_train_job(self.desired, self.version_spec, self.seen.platform.store, suites)
        assert job is not None
        document = self.draft.run(job, "Trained", "Training", max_attempts=1 + job.fine_tune.max_failures)
        if document is None:
            return None
        result = TrainResult.model_validate_json(document)
        if not self.draft.waiting:
            made = "adapter" if result.kind == "adapter" else "weights"
            self.draft.state("Trained", "True", "Trained", f"{result.steps} steps, loss {result.loss:.3f}, {made} {result.digest[:12]}")
        return result

    def _evaluate(self, trained: TrainResult | None, suites: dict[str, str]) -> list[Score] | None:
        """The scores of what was trained; None: of the base."""
        whole = trained is not None and trained.kind == "causal-lm"
        assert self.spec.evaluation is not None
        job = EvaluateJob(
            store=self.seen.platform.store,
            base_digest=trained.digest if trained and whole else self.base_digest,
            adapter_digest=trained.digest if trained and not whole else "",
            tuned=whole,
            suites=self.spec.evaluation.suites,
            suite_digests=suites,
        )
        document = self.draft.run(job, "Evaluated", "Evaluating")
        return None if document is None else EvaluateResult.model_validate_json(document).scores

    def _judge(self, scores: Sequence[Score], base_scores: Sequence[Score]) -> Verdict:
        gates = self.spec.evaluation.gate if self.spec.evaluation else []
        before = self._passed_before()
        verdict = judge(gates, scores, base=base_scores or None, active=before.scores if before else None)
        if self.spec.evaluation:
            self.draft.state("Evaluated", "True", "Scored", ", ".join(f"{s.metric} {s.value:.3f}" for s in scores[:3]))
        if not verdict.passed:
            self.draft.wait("Promoted", "Rejected", "GateRejected", verdict.reason)
        return verdict

    def _passed_before(self) -> ModelVersionStatus | None:
        """The status of the last version before the desired one that passed."""
        desired = self.versions.get(self.desired)
        limit = desired.spec.revision if desired else float("inf")
        passed = [v for v in self.versions.values() if v.status.phase == "Passed" and v.spec.revision < limit]
        older = [v for v in passed if v.metadata.name not in self.model.status.rolled_back_versions]
        return max(older, key=lambda version: version.spec.revision).status if older else None

    def _roll_out(self) -> RolloutState:
        """The version that the model's name answers with, and the one that takes over from it."""
        status = self.model.status
        former = RolloutState(
            active=status.active_version,
            status=status.rollout,
            rolled_back=frozenset(status.rolled_back_versions) & self.versions.keys(),
        )
        passed = {name: version.spec.revision for name, version in self.versions.items() if self.statuses[name].phase == "Passed"}
        name = self.model.metadata.name
        situation = Situation(
            rollout=self.spec.serving.rollout if self.spec.serving else None,
            now=self.seen.now,
            desired=self.desired,
            passed=passed,
            answering=frozenset(version for version in passed if version_served_name(name, version) in self.seen.answering),
            figures=self.seen.figures,
            request=read_request(self.model.metadata.annotations),
        )
        return self._evaluate_online(plan_rollout(former, situation), situation)

    def _evaluate_online(self, state: RolloutState, situation: Situation) -> RolloutState:
        """The state once the version that takes over was judged by the evaluation beside the rollout, if one is asked for."""
        evaluation = situation.rollout.evaluation if situation.rollout else None
        if evaluation is None or state.status is None or not state.status.live or state.status.step == 0:
            return state
        active, version = (self._current(name) for name in (state.active, state.status.version))
        return plan_rollout(state, replace(situation, evaluated=evaluate_online(evaluation, version, active, self.draft)))

    def _loaded(self, state: RolloutState) -> list[ModelVersion]:
        """The versions that are loaded, the active one first, each with its status as this plan leaves it."""
        names = dict.fromkeys([state.active, state.status.beside(self.seen.now) if state.status else ""])
        return [self._current(name) for name in names if name in self.versions]

    def _current(self, name: str) -> ModelVersion:
        """A version with its status as this plan leaves it."""
        return self.versions[name].model_copy(update={"status": self.statuses[name]})

    def _record_versions(self) -> None:
        for name, status in self.statuses.items():
            before = self.versions[name].status if name in self.versions else ModelVersionStatus()
            if status != before:
                self.draft.steps.append(SetVersionStatus(name, status))

    def _retire(self, state: RolloutState) -> None:
        """Delete the oldest versions beyond `keepVersions`, never the desired one nor one that serves."""
        kept = {self.desired, *(version.metadata.name for version in self._loaded(state))}
        newest_first = sorted(self.versions.values(), key=lambda version: -version.spec.revision)
        for version in newest_first[self.spec.retention.keep_versions :]:
            if self.desired and version.metadata.name not in kept:
                self.draft.steps.append(DeleteVersion(version.metadata.name))
