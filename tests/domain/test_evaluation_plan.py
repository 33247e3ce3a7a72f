"""The plan of an Evaluation, in a world that does what it is told."""

from typing import Any

import pytest
from tests.domain.lifecycle_world import ADAPTER, World, model, reason

from modelyard.domain.evaluation import Evaluation
from modelyard.domain.job import EvaluateJob
from modelyard.domain.model import Model


def evaluation(**spec: Any) -> Evaluation:
    document = {"model": "bot", "suites": [{"name": "records", "uri": "file:///more.jsonl"}]} | spec
    return Evaluation.model_validate({"metadata": {"name": "weekly", "uid": "v", "generation": 1}, "spec": document})


def test_an_evaluation_waits_for_its_model() -> None:
    world = World(evaluation())
    world.step()
    assert reason(world.resource) == "ModelNotFound"
    assert world.plan().steps == ()


def test_an_evaluation_scores_the_version_that_answers_and_stays_with_it() -> None:
    tuned = World(model())
    tuned.settle()
    world = World(evaluation(gate=[{"metric": "records.field_score", "atLeast": 0.5}]), model=tuned.resource, versions=tuned.versions)
    world.settle()
    assert (world.resource.status.phase, world.resource.status.target) == ("Passed", tuned.resource.status.version)
    moved = replace_active(tuned.resource, "bot-0000000000")
    world.model = moved
    assert world.plan().steps == ()


@pytest.mark.parametrize(
    ("bar", "base_score", "phase", "asked"),
    [
        pytest.param({"betterThan": "base", "margin": 0.25}, 0.2, "Passed", [ADAPTER, ""], id="the base is asked the same, and beaten"),
        pytest.param({"betterThan": "base"}, 0.95, "Rejected", [ADAPTER, ""], id="the base is asked the same, and is better"),
        pytest.param({"notWorseThan": "active"}, 0.2, "Passed", [ADAPTER], id="the active version is the one that was asked"),
    ],
)
def test_a_bar_compares_on_the_rows_of_the_evaluation(bar: dict[str, Any], base_score: float, phase: str, asked: list[str]) -> None:
    tuned = World(model())
    tuned.settle()
    world = World(
        evaluation(gate=[{"metric": "records.field_score"} | bar]),
        model=tuned.resource,
        versions=tuned.versions,
        scores={"": base_score, ADAPTER: 0.9},
    )
    world.settle()
    assert world.resource.status.phase == phase, world.resource.status.verdict
    assert [job.adapter_digest for job in world.asked if isinstance(job, EvaluateJob)] == asked
    assert world.plan().steps == ()


def replace_active(resource: Model, name: str) -> Model:
    return resource.model_copy(update={"status": resource.status.model_copy(update={"active_version": name})})
