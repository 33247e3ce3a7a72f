"""Score the version that takes over while it serves, and judge it. Pure; decides about no request."""

from dataclasses import dataclass

from modelyard.domain.evaluation import Score, suite_inputs
from modelyard.domain.gate import judge
from modelyard.domain.job import EvaluateJob, EvaluateResult
from modelyard.domain.model import ModelVersion
from modelyard.domain.rollout import OnlineEvaluation
from modelyard.domain.rollout_situation import Evaluated
from modelyard.domain.stage import Draft


@dataclass(frozen=True)
class Weights:
    """What is scored once, whoever is compared with it."""

    base_digest: str
    adapter_digest: str = ""
    tuned: bool = False


def evaluate_online(evaluation: OnlineEvaluation, version: ModelVersion, active: ModelVersion, draft: Draft) -> Evaluated:
    """What the evaluation of a version gave, after asking for the jobs that are missing.

    The base and the active version are scored on the same rows where a bar compares with them.
    """
    digests: dict[str, str] = {}
    for name, uri in suite_inputs(evaluation.suites).items():
        if uri in draft.seen.problems:
            return Evaluated(message=draft.seen.problems[uri])
        digests[name] = draft.seen.digests[uri]
    asked = [_weights(version)]
    references = {gate.not_worse_than or gate.better_than for gate in evaluation.gate}
    asked += [_weights(active)] if "active" in references else []
    base = Weights(version.spec.base_digest)
    asked += [base] if "base" in references else []
    scores: dict[Weights, list[Score]] = {}
    problems = []
    for weights in dict.fromkeys(asked):
        job = EvaluateJob(
            store=draft.seen.platform.store,
            base_digest=weights.base_digest,
            adapter_digest=weights.adapter_digest,
            tuned=weights.tuned,
            suites=evaluation.suites,
            suite_digests=digests,
        )
        seen = draft.ask(job)
        if seen.phase == "succeeded":
            scores[weights] = EvaluateResult.model_validate_json(seen.result).scores
        elif seen.phase == "failed":
            problems.append(seen.message)
    if len(scores) < len(set(asked)):
        return Evaluated(message="; ".join(dict.fromkeys(problems)))
    return Evaluated(judge(evaluation.gate, scores[asked[0]], base=scores.get(base), active=scores.get(_weights(active))))


def _weights(version: ModelVersion) -> Weights:
    return Weights(version.served_base, version.status.adapter_digest, bool(version.status.weights_digest))
