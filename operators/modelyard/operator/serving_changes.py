"""Tell which plans a change of the serving side matters to: one model's answer must not have all models planned anew. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.domain.observed import Plan
from modelyard.domain.serving import GATEWAY_APP, RETRIEVAL_APP
from modelyard.operator.ports import ServingSeen


def find_changes(before: ServingSeen, after: ServingSeen) -> frozenset[str]:
    """Names of applications, of what answers or has a problem, and of versions that are told of differently."""
    tables = ((before.apps, after.apps), (before.problems, after.problems), (before.figures, after.figures))
    everyone = {GATEWAY_APP} if before.obstacle != after.obstacle else set()
    return frozenset(before.answering ^ after.answering).union(everyone, *(_differences(old, new) for old, new in tables))


def matters_to(plan: Plan, changed: frozenset[str]) -> bool:
    """Whether something changed that a resource's status may speak of. False for one that wants nothing served."""
    return not changed.isdisjoint(_names_of(plan))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _names_of(plan: Plan) -> Iterator[str]:
    if plan.routes or plan.knowledge_bases:
        yield GATEWAY_APP
    for route in plan.routes:
        yield from (route.name, route.engine, route.version)
        if route.canary is not None:
            yield from (route.canary.engine, route.canary.version)
    for base in plan.knowledge_bases:
        yield from (base.name, RETRIEVAL_APP)
