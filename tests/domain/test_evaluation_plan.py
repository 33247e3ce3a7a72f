"""The plan of an Evaluation, in a world that does what it is told."""

from typing import Any

from tests.domain.lifecycle_world import World, model, reason

from modelyard.domain.evaluation import Evaluation
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


def replace_active(resource: Model, name: str) -> Model:
    return resource.model_copy(update={"status": resource.status.model_copy(update={"active_version": name})})
