"""Versions with whole weights of their own: evaluated, served, compared and retired as a base, not as an adapter."""

from typing import Any

import pytest
from tests.domain.lifecycle_world import ADAPTER, BASE, World, model

from modelyard.domain.job import EvaluateJob
from modelyard.domain.model import Serving
from modelyard.domain.names import engine_name

WHOLE = ADAPTER
"""The digest that this world's training gives."""
FULL = {"dataset": {"uri": "file:///train.jsonl"}, "adapter": {"type": "none"}}


def settled(**spec: Any) -> World:
    world = World(model(fineTune=FULL, **spec), trained_kind="causal-lm")
    world.settle()
    return world


def evaluations(world: World) -> list[tuple[str, str, bool]]:
    return [(job.base_digest, job.adapter_digest, job.tuned) for job in world.asked if isinstance(job, EvaluateJob)]


def test_the_base_and_then_the_tuned_weights_are_scored() -> None:
    assert evaluations(settled()) == [(BASE, "", False), (WHOLE, "", True)]


def test_the_version_tells_its_weights_and_no_adapter() -> None:
    world = settled()
    (version,) = world.versions.values()
    assert (version.status.phase, version.status.weights_digest, version.status.adapter_digest) == ("Passed", WHOLE, "")
    assert (version.status.adapter_uri, version.served_base) == ("", WHOLE)
    trained = next(condition for condition in world.resource.status.conditions if condition.type == "Trained")
    assert trained.message == f"30 steps, loss 0.100, weights {WHOLE[:12]}"


def test_it_is_served_by_an_engine_that_holds_its_weights() -> None:
    plan = settled().plan()
    (engine,) = plan.engines
    assert (engine.base_digest, engine.max_rank) == (WHOLE, 1)
    assert engine.name == engine_name(WHOLE, Serving())
    assert {route.engine for route in plan.routes} == {engine.name}
    assert {route.adapter for route in plan.routes} == {""}


def test_its_names_lead_to_the_version_and_the_base_that_no_engine_holds_has_none() -> None:
    world = settled()
    version = world.resource.status.active_version
    assert {route.name: route.version for route in world.plan().routes} == {"bot": version, f"bot:{version[-10:]}": version}


def test_one_that_misses_the_gate_is_not_served() -> None:
    world = World(model(fineTune=FULL), trained_kind="causal-lm", scores={"": 0.8, WHOLE: 0.9})
    world.settle()
    assert world.resource.status.phase == "Rejected"
    assert world.plan().engines == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("adapter", "causal-lm", id="whole weights after an adapter"),
        pytest.param("causal-lm", "adapter", id="an adapter after whole weights"),
    ],
)
def test_a_rollout_goes_from_one_kind_to_the_other_over_two_engines(first: Any, second: Any) -> None:
    world = World(model(retrain="on-change", serving={"rollout": {"steps": [50], "interval": "5m"}}), trained_kind=first)
    world.settle()
    world.digests, world.adapter, world.trained_kind = {"file:///train.jsonl": "f" * 64}, "c" * 64, second
    world.scores |= {"c" * 64: 0.95}
    for _ in range(6):
        wanted = world.step()
        world.finish()
        world.serve(wanted)
    plan = world.plan()
    held = {ADAPTER if first == "causal-lm" else BASE, "c" * 64 if second == "causal-lm" else BASE}
    assert {engine.base_digest for engine in plan.engines} == held
    canary = next(route.canary for route in plan.routes if route.name == "bot")
    assert canary is not None and canary.adapter == ("" if second == "causal-lm" else "c" * 64)
    assert canary.engine == next(e.name for e in plan.engines if e.base_digest == ("c" * 64 if second == "causal-lm" else BASE))
