"""Decide what must change so that a resource is as its spec asks. Pure: no I/O, no clock, no Ray, no Kubernetes.

`plan(resource, observed)` is called again and again; once its steps are carried out and seen, it asks for none.
"""

from modelyard.domain.evaluation import Evaluation, suite_inputs
from modelyard.domain.evaluation_plan import plan_evaluation
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.knowledge_base_plan import plan_knowledge_base
from modelyard.domain.model import Model
from modelyard.domain.model_plan import plan_model
from modelyard.domain.observed import Observed, Plan
from modelyard.domain.resource import Resource


def plan(resource: Resource, seen: Observed) -> Plan:
    """What must change for this resource. A ModelVersion is a record and asks for nothing itself."""
    match resource:
        case Model():
            return plan_model(resource, seen)
        case KnowledgeBase():
            return plan_knowledge_base(resource, seen)
        case Evaluation():
            return plan_evaluation(resource, seen)
        case _:
            return Plan()


def inputs_of(resource: Resource) -> list[tuple[str, tuple[str, ...]]]:
    """The (URI, include patterns) whose digests a plan needs; a single file has no patterns."""
    match resource:
        case Model(spec=spec):
            datasets = [spec.fine_tune.dataset.uri] if spec.fine_tune else []
            suites = suite_inputs(spec.evaluation.suites) if spec.evaluation else {}
            rollout = spec.serving.rollout if spec.serving else None
            online = suite_inputs(rollout.evaluation.suites) if rollout and rollout.evaluation else {}
            return [(uri, ()) for uri in [*datasets, *suites.values(), *online.values()]]
        case Evaluation(spec=spec):
            return [(uri, ()) for uri in suite_inputs(spec.suites).values()]
        case KnowledgeBase(spec=spec):
            return [(source.uri, tuple(source.include)) for source in spec.sources]
        case _:
            return []
