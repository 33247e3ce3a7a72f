"""What does not fit is refused before anything is started for it, and never what has shown that it does."""

from pathlib import Path
from typing import Any

import pytest
from tests.domain.lifecycle_world import World, kinds, model, reason

from modelyard.domain.architecture import Architecture
from modelyard.domain.documents import parse_documents
from modelyard.domain.machine import Machine, Machines
from modelyard.domain.memory_fit import estimate_training
from modelyard.domain.model import Model
from modelyard.domain.room import find_memory_lack

EXAMPLE = Path(__file__).parents[2] / "examples/python-helper/model.yaml"
SMOLLM2_135M = Architecture(
    parameters=134_515_008,
    layers=30,
    hidden_size=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    feed_forward_size=1536,
    gated=True,
    vocabulary=49152,
)


def machines(memory_gib: float) -> Machines:
    return Machines({"small": Machine(memory_gib, {"CPU": 2})}, "small")


ROOMY = machines(64)


def world(memory_gib: float, architecture: Architecture | None = SMOLLM2_135M, **spec: Any) -> World:
    return World(model(**spec), architecture=architecture, machines=machines(memory_gib))


def take_steps(world: World) -> None:
    for _ in range(3):
        world.step()
        world.finish()


@pytest.mark.parametrize(
    ("refused", "condition", "words"),
    [
        pytest.param(world(2), "Trained", "has 2 GiB for it; set spec.fineTune.hyperparameters.microBatchSize to 1", id="training"),
        pytest.param(world(5, serving={"kvCacheGib": 8}), "Serving", "has 5 GiB; set spec.serving.kvCacheGib to 4", id="serving"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_after_the_fetch_and_before_anything_else(refused: World, condition: str, words: str) -> None:
    take_steps(refused)
    assert refused.resource.status.phase == "Failed"
    assert reason(refused.resource) == reason(refused.resource, condition) == "DoesNotFit"
    assert words in refused.resource.status.conditions[-1].message
    assert [job.kind for job in refused.asked] == ["fetch"] and not refused.versions
    assert kinds(refused.plan()) == []


@pytest.mark.parametrize(
    ("spec", "condition", "message"),
    [
        pytest.param(
            {"fineTune": {"dataset": {"uri": "file:///t"}, "workers": {"profile": "smal"}}},
            "Trained",
            "spec.fineTune.workers.profile: there is no profile 'smal' on this cluster; did you mean small? there is small",
            id="of the workers",
        ),
        pytest.param(
            {"serving": {"profile": "gpu"}},
            "Serving",
            "spec.serving.profile: there is no profile 'gpu' on this cluster; there is small",
            id="of the engine",
        ),
    ],
)
def test_a_profile_that_there_is_not_is_told_before_anything_starts(spec: dict[str, Any], condition: str, message: str) -> None:
    refused = world(64, architecture=None, **spec)
    take_steps(refused)
    assert (reason(refused.resource, condition), refused.resource.status.conditions[-1].message) == ("ProfileNotFound", message)
    assert [job.kind for job in refused.asked] == ["fetch"]


def test_a_profile_that_is_taken_away_later_leaves_what_stands_on_it() -> None:
    served = world(64)
    served.settle()
    served.machines = Machines({"other": Machine(64, {"CPU": 2})}, "none")
    assert served.plan().steps == ()


def test_a_smaller_setting_is_taken_up() -> None:
    refused = world(2)
    take_steps(refused)
    smaller = {"dataset": {"uri": "file:///train.jsonl"}, "hyperparameters": {"microBatchSize": 1}}
    refused.resource = model(fineTune=smaller).model_copy(update={"status": refused.resource.status})
    refused.settle()
    assert refused.resource.status.phase == "Ready"


@pytest.mark.parametrize(
    "roomy",
    [
        pytest.param(world(64), id="there is room"),
        pytest.param(world(0.1, architecture=None), id="a fetch that told no shape, as all did before"),
        pytest.param(World(model(), architecture=SMOLLM2_135M), id="machines that nobody knows"),
        pytest.param(world(2.9, fineTune=None, evaluation=None, serving=None), id="nothing that takes memory is asked for"),
    ],
)
def test_what_fits_or_is_not_known_goes_on(roomy: World) -> None:
    roomy.settle()
    assert roomy.resource.status.phase == "Ready"


def test_a_training_that_runs_is_not_stopped_by_an_estimate() -> None:
    running = world(64)
    running.step()
    running.finish()
    running.step()  # scores the base, and trains
    before = running.plan().jobs
    running.machines = machines(0.1)
    assert running.plan().jobs == before and any(name.startswith("train-") for name in before)
    assert reason(running.resource) != "DoesNotFit"


def test_what_is_trained_and_served_is_left_alone_by_an_estimate() -> None:
    served = world(64)
    served.settle()
    served.machines = machines(0.1)
    assert served.plan().steps == ()


def test_an_engine_that_failed_is_told_with_what_it_lacks() -> None:
    served = world(64)
    served.settle()
    served.machines = machines(0.1)
    served.apps = {}
    served.step()
    assert reason(served.resource, "Serving") == "DoesNotFit"


def test_the_demo_fits_with_room_on_the_smallest_machine_that_the_readme_allows() -> None:
    demo = parse_documents(EXAMPLE.read_text(), "model.yaml")[0]
    assert isinstance(demo, Model) and demo.spec.fine_tune is not None
    laptop = Machines({"": Machine(12, {"CPU": 2})})
    assert find_memory_lack(demo.spec, SMOLLM2_135M, laptop) is None
    assert demo.spec.fine_tune.workers.count * estimate_training(SMOLLM2_135M, demo.spec.fine_tune).total_gib < 12 / 2
