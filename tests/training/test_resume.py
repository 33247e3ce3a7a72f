"""A run that was killed, at any step or inside a checkpoint, ends with the very bits of one that was not."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from modelyard.training.history import read_history
from modelyard.training.integrity import find_damage

pytestmark = pytest.mark.slow

RunRanks = Callable[[Path, int, list[dict[str, Any]]], None]
STEPS = 9
KILLS = sorted(random.Random(4).sample(range(1, STEPS + 1), 3))
DROPOUT = {"rank": 4, "alpha": 8, "dropout": 0.2}


@pytest.fixture(scope="module")
def runs(yard: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")

    def run(name: str, stage: int = 0, count: int = 1, adapter: Any = DROPOUT, **knobs: Any) -> dict[str, Any]:
        change = {"workers": {"count": count}, "deepspeed": {"zero_stage": stage}, "adapter": adapter}
        asked = {"max_steps": STEPS, "learning_rate": 1e-3, "evaluate_every": 3, **knobs}
        return {"name": name, "spec": yard.job(change, **asked).wire(), "every": True}

    one = [run("whole"), run("packed", packing=True)]
    for step in KILLS:
        one += [run(f"killed in {step}") | {"stop_after": step}, run(f"killed in {step}, resumed") | {"resume": f"killed in {step}"}]
    one += [run("killed in packed", packing=True) | {"stop_after": 6}]
    one += [run("killed in packed, resumed", packing=True) | {"resume": "killed in packed"}]
    one += [run("half written") | {"die_in_save": 6}, run("half written, resumed") | {"resume": "half written"}]
    one += [run("preempted") | {"preempt_in": 5}, run("preempted, resumed") | {"resume": "preempted"}]
    one += [run("spoilt", checkpoint_every=1) | {"poison_after": 4}]
    one += [run("stalled", learning_rate=1e-12, evaluate_every=1, early_stopping={"patience": 2, "min_delta": 1e-4})]
    one += [run("best", evaluate_every=1, checkpoint_every=100, keep="best", learning_rate=3e-2)]
    one += [run("of one, whole", 2, adapter={"rank": 4}), run("of one", 2, adapter={"rank": 4}) | {"stop_after": 5}]
    run_ranks(folder, 1, one)
    two = [run("of one, resumed by two", 2, 2, {"rank": 4}) | {"resume": "of one"}]
    two += [run(f"of two, stage {stage}", stage, 2, {"rank": 4}) | {"stop_after": 5} for stage in (0, 2, 3)]
    run_ranks(folder, 2, two)
    run_ranks(
        folder,
        1,
        [
            run(f"of two, stage {stage}, resumed by one", stage, adapter={"rank": 4}) | {"resume": f"of two, stage {stage}"}
            for stage in (0, 2, 3)
        ],
    )
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def last(folder: Path) -> Path:
    return max(folder.glob("checkpoint_*"))


@pytest.mark.parametrize(
    ("name", "undisturbed", "resumed_after"),
    [
        *(pytest.param(f"killed in {step}", "whole", (step - 1) // 2 * 2, id=f"killed in step {step}") for step in KILLS),
        pytest.param("half written", "whole", 4, id="killed while a checkpoint was written"),
        pytest.param("preempted", "whole", 5, id="asked to stop"),
        pytest.param("killed in packed", "packed", 4, id="killed with packed rows"),
    ],
)
def test_the_weights_have_the_same_hash(runs: Path, name: str, undisturbed: str, resumed_after: int) -> None:
    found = sorted(runs.glob(f"{name}/checkpoint_*"))
    sound = [read_history(folder).step for folder in found if not find_damage(folder)]
    assert max(sound, default=0) == resumed_after
    for file in ("weights.safetensors",):
        assert digest(runs / f"{name}, resumed" / file) == digest(runs / undisturbed / file)
    for file in ("adapter_model.safetensors", "optimizer-0000.safetensors"):
        assert digest(last(runs / f"{name}, resumed") / file) == digest(last(runs / undisturbed) / file)
    histories = [read_history(last(runs / run)) for run in (f"{name}, resumed", undisturbed)]
    timeless = [[(p.step, p.loss, p.accuracy, p.gradient_norm, p.validation_loss) for p in history.points] for history in histories]
    assert timeless[0] == timeless[1]


def test_a_half_written_checkpoint_is_there_and_known_as_one(runs: Path) -> None:
    assert find_damage(runs / "half written" / "checkpoint_0006") != ""


def test_a_run_that_is_asked_to_stop_says_how_far_it_came(runs: Path) -> None:
    assert (runs / "preempted" / "refusal-0.txt").read_text() == (
        "the run was preempted after step 5 of 9; it goes on from there when it is started again"
    )


def test_a_loss_that_is_no_number_names_the_step_and_leaves_the_checkpoint_before(runs: Path) -> None:
    assert (
        (runs / "spoilt" / "refusal-0.txt").read_text().startswith("the loss became nan in step 5 of 9; lower hyperparameters.learningRate")
    )
    assert read_history(last(runs / "spoilt")).step == 4
    assert all(tensor.isfinite().all() for tensor in load_file(last(runs / "spoilt") / "adapter_model.safetensors").values())


def test_a_run_that_learns_no_more_ends_early_with_a_checkpoint(runs: Path) -> None:
    assert read_history(last(runs / "stalled")).step == 3


def test_each_best_so_far_is_kept(runs: Path) -> None:
    history = read_history(last(runs / "best"))
    measured = [point.validation_loss or 0.0 for point in history.points]
    records = [step for step in range(1, STEPS + 1) if measured[step - 1] < min(measured[: step - 1], default=9e9)]
    assert [read_history(folder).step for folder in sorted(runs.glob("best/checkpoint_*"))] == sorted({*records, STEPS})
    assert STEPS > len(records) > 1, "or the case shows nothing"


@pytest.mark.parametrize("name", ["of one, resumed by two", "of two, stage 0, resumed by one", "of two, stage 2, resumed by one"])
def test_another_number_of_workers_goes_on(runs: Path, name: str) -> None:
    expected, found = (read_history(last(runs / run)) for run in ("of one, whole", name))
    assert [point.loss for point in found.points] == pytest.approx([point.loss for point in expected.points], abs=1e-5)


def test_another_number_of_workers_under_zero_3_is_told_why_not(runs: Path) -> None:
    assert (runs / "of two, stage 3, resumed by one" / "refusal-0.txt").read_text() == (
        "the run was begun by 2 workers and now has 1: under ZeRO 3 each holds a part of every weight;"
        " set workers.count to 2 again, or give the model another name to begin anew"
    )
