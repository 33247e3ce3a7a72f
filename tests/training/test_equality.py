"""The same rows give the same losses and gradients, however they are cut into passes, packed, and spread over workers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from modelyard.training.history import History, read_history

pytestmark = pytest.mark.slow

RunRanks = Callable[[Path, int, list[dict[str, Any]]], None]
KNOBS = {"max_steps": 3, "learning_rate": 1e-3, "warmup_ratio": 0.0, "evaluate_every": 3, "checkpoint_every": 3}


@pytest.fixture(scope="module")
def uneven(yard: Any) -> Any:
    """Rows of 24 to 128 tokens, of which 2 to 97 are learned."""
    dataset = yard.folder / "uneven.jsonl"
    rows = [{"prompt": "Say it. " * (1 + n % 3), "completion": "abcdefghijklmnop"[: 1 + n % 16] * (1 + n % 7)} for n in range(40)]
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return replace(yard, dataset=dataset)


@pytest.fixture(scope="module")
def runs(uneven: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a run; the optimizer's first moments are the sums of the gradients, so far as they count still."""

    def run(name: str, stage: int = 0, count: int = 1, **knobs: Any) -> dict[str, Any]:
        change = {"workers": {"count": count}, "deepspeed": {"zero_stage": stage}}
        return {"name": name, "spec": uneven.job(change, **KNOBS, **knobs).wire()}

    folder = tmp_path_factory.mktemp("equality")
    one = [run("8x1", micro_batch_size=8), run("1x8", micro_batch_size=1), run("packed", packing=True)]
    one.append(run("packed in several", packing=True, micro_batch_size=1))
    run_ranks(folder, 1, one)
    two = [run("two", count=2), run("two 1x4", count=2, micro_batch_size=1), run("two packed", count=2, packing=True, micro_batch_size=1)]
    two += [run(f"two packed, stage {stage}", stage, 2, packing=True, micro_batch_size=1) for stage in (2, 3)]
    run_ranks(folder, 2, two)
    return folder


def losses(history: History) -> list[float]:
    return [point.loss for point in history.points]


SPREADS = [
    pytest.param("1x8", id="one row a pass, eight passes"),
    pytest.param("packed", id="packed into one sequence"),
    pytest.param("packed in several", id="packed into several sequences"),
    pytest.param("two", id="two workers"),
    pytest.param("two 1x4", id="two workers, one row a pass"),
    pytest.param("two packed", id="two workers, packed"),
]
STAGES = [pytest.param(f"two packed, stage {stage}", id=f"two workers, packed, ZeRO stage {stage}") for stage in (2, 3)]


@pytest.mark.parametrize("name", [*SPREADS, *STAGES])
def test_losses_are_those_of_one_pass_on_one_worker(runs: Path, name: str) -> None:
    expected, history = read_history(runs / "8x1"), read_history(runs / name)
    assert losses(history) == pytest.approx(losses(expected), abs=2e-6)
    assert history.validation_loss == pytest.approx(expected.validation_loss, abs=2e-6)
    assert [point.accuracy for point in history.points] == [point.accuracy for point in expected.points]
    norms = [point.gradient_norm for point in expected.points]
    assert [point.gradient_norm for point in history.points] == pytest.approx(norms, rel=1e-5)


@pytest.mark.parametrize("name", SPREADS)
def test_gradients_are_those_of_one_pass_on_one_worker(runs: Path, name: str) -> None:
    expected, found = (load_file(runs / run / "optimizer-0000.safetensors") for run in ("8x1", name))
    moments = [key for key in expected if key.endswith("exp_avg")]
    assert len(moments) == 28
    whole, other = (torch.cat([state[key].flatten() for key in moments]) for state in (expected, found))
    assert float((whole - other).norm() / whole.norm()) < 1e-4
