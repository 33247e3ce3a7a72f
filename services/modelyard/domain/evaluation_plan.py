"""The plan of an Evaluation: score the version that a model answers with. Pure."""

from modelyard.domain.evaluation import Evaluation, EvaluationStatus, Score, Verdict, suite_inputs
from modelyard.domain.gate import judge
from modelyard.domain.job import EvaluateJob, EvaluateResult
from modelyard.domain.model import ModelVersion
from modelyard.domain.observed import Observed, Plan, RemoveResource, SetStatus
from modelyard.domain.stage import Draft


def plan_evaluation(evaluation: Evaluation, seen: Observed) -> Plan:
    """What must change so that the suites are scored. A finished evaluation stays with the version it asked."""
    if evaluation.metadata.deletion_timestamp:
        return Plan(steps=(RemoveResource(),))
    draft = Draft(seen, evaluation.metadata.generation, evaluation.status.conditions)
    version = _target(evaluation, draft)
    scores = _score(evaluation, draft, version) if version else None
    verdict: Verdict | None = None
    if scores is not None:
        verdict = judge(evaluation.spec.gate, scores, base=None, active=version.status.scores if version else None)
        draft.state("Scored", "True", "Scored", ", ".join(f"{score.metric} {score.value:.3f}" for score in scores[:3]))
        draft.phase = "Passed" if verdict.passed else "Rejected"
        draft.state("Ready", "True" if verdict.passed else "False", "GatePassed" if verdict.passed else "GateRejected", verdict.reason)
    status = EvaluationStatus(
        observed_generation=evaluation.metadata.generation,
        phase=draft.phase,
        conditions=draft.conditions,
        progress=draft.progress,
        job=draft.job or evaluation.status.job,
        target=version.metadata.name if version else evaluation.status.target,
        scores=scores or [],
        verdict=verdict,
    )
    if status != evaluation.status:
        draft.steps.append(SetStatus(status))
    return Plan(steps=tuple(draft.steps), jobs=frozenset(draft.jobs))


def _target(evaluation: Evaluation, draft: Draft) -> ModelVersion | None:
    """The version asked before by this generation, else the one that answers now."""
    name = evaluation.spec.model
    model = draft.seen.model
    if model is None:
        draft.wait("Scored", "Pending", "ModelNotFound", f"there is no Model {name!r}; apply one or correct spec.model")
        return None
    kept = evaluation.status.target if evaluation.status.observed_generation == evaluation.metadata.generation else ""
    versions = {version.metadata.name: version for version in draft.seen.versions}
    version = versions.get(kept) or versions.get(model.status.active_version)
    if version is None:
        draft.wait("Scored", "Pending", "NoActiveVersion", f"Model {name!r} has no version that passed its gate yet")
    return version


def _score(evaluation: Evaluation, draft: Draft, version: ModelVersion) -> list[Score] | None:
    digests = draft.digests("Scored", suite_inputs(evaluation.spec.suites))
    if digests is None:
        return None
    job = EvaluateJob(
        store=draft.seen.platform.store,
        base_digest=version.spec.base_digest,
        adapter_digest=version.status.adapter_digest,
        suites=evaluation.spec.suites,
        suite_digests=digests,
    )
    document = draft.run(job, "Scored", "Running")
    return None if document is None else EvaluateResult.model_validate_json(document).scores
