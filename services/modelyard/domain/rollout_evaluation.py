"""Score the version that takes over while it serves, and judge it. Pure; decides about no request."""

from modelyard.domain.evaluation import Score, suite_inputs
from modelyard.domain.gate import judge
from modelyard.domain.job import EvaluateJob, EvaluateResult
from modelyard.domain.model import ModelVersion
from modelyard.domain.rollout import OnlineEvaluation
from modelyard.domain.rollout_situation import Evaluated
from modelyard.domain.stage import Draft


def evaluate_online(evaluation: OnlineEvaluation, version: ModelVersion, active: ModelVersion, draft: Draft) -> Evaluated:
    """What the evaluation of a version gave, after asking for the jobs that are missing.

    The base and the active version are scored on the same rows where a bar compares with them.
    """
    digests: dict[str, str] = {}
    for name, uri in suite_inputs(evaluation.suites).items():
        if uri in draft.seen.problems:
            return Evaluated(message=draft.seen.problems[uri])
        digests[name] = draft.seen.digests[uri]
    asked = [(version.spec.base_digest, version.status.adapter_digest)]
    references = {gate.not_worse_than or gate.better_than for gate in evaluation.gate}
    asked += [(active.spec.base_digest, active.status.adapter_digest)] if "active" in references else []
    asked += [(version.spec.base_digest, "")] if "base" in references else []
    scores: dict[tuple[str, str], list[Score]] = {}
    problems = []
    for base_digest, adapter_digest in dict.fromkeys(asked):
        job = EvaluateJob(
            store=draft.seen.platform.store,
            base_digest=base_digest,
            adapter_digest=adapter_digest,
            suites=evaluation.suites,
            suite_digests=digests,
        )
        seen = draft.ask(job)
        if seen.phase == "succeeded":
            scores[base_digest, adapter_digest] = EvaluateResult.model_validate_json(seen.result).scores
        elif seen.phase == "failed":
            problems.append(seen.message)
    if len(scores) < len(set(asked)):
        return Evaluated(message="; ".join(dict.fromkeys(problems)))
    candidate, base = scores[asked[0]], scores.get((version.spec.base_digest, ""))
    return Evaluated(
        judge(evaluation.gate, candidate, base=base, active=scores.get((active.spec.base_digest, active.status.adapter_digest)))
    )
