"""The loop, the engine, the checkpoints and the adapters on a tiny model: one worker and two, every ZeRO stage."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from modelyard.training.corpus import read_corpus
from modelyard.training.examples import make_examples
from modelyard.training.history import History, read_history
from modelyard.training.layout import CONFIG_FILE, WEIGHTS_FILE

pytestmark = pytest.mark.slow

RunRanks = Callable[[Path, int, list[dict[str, Any]]], None]
STEPS = 8
DROPOUT = {"rank": 4, "alpha": 8, "dropout": 0.2}


@pytest.fixture(scope="module")
def alone(yard: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one worker."""

    def run(name: str, stage: int, **knobs: Any) -> dict[str, Any]:
        return {"name": name, "spec": yard.job({"deepspeed": {"zero_stage": stage}}, **knobs).wire()}

    folder = tmp_path_factory.mktemp("alone")
    plan = [run("8x1", 2, micro_batch_size=8), run("4x2", 2, micro_batch_size=4), run("stage-0", 0), run("bfloat16-0", 0, dtype="bfloat16")]
    plan.append(run("diverging", 0, learning_rate=1e30, schedule="constant", warmup_ratio=0, max_grad_norm=1e9))
    run_ranks(folder, 1, plan)
    return folder


@pytest.fixture(scope="module")
def together(yard: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two workers."""

    def run(name: str, stage: int, adapter: dict[str, Any] | None = None, **knobs: Any) -> dict[str, Any]:
        change = {"workers": {"count": 2}, "deepspeed": {"zero_stage": stage}}
        return {"name": name, "spec": yard.job(change | ({"adapter": adapter} if adapter else {}), **knobs).wire()}

    folder = tmp_path_factory.mktemp("together")
    plan = [run(f"stage-{stage}", stage) for stage in (0, 1, 2, 3)]
    for stage, dtype in RESUMED:
        name = f"{dtype}-{stage}"
        plan.append(run(name, stage, DROPOUT, dtype=dtype))
        plan.append(run(f"{name}-killed", stage, DROPOUT, dtype=dtype) | {"stop_after": 5})
        plan.append(run(f"{name}-resumed", stage, DROPOUT, dtype=dtype) | {"resume": f"{name}-killed"})
    run_ranks(folder, 2, plan)
    return folder


RESUMED = [(0, "float32"), (2, "float32"), (2, "bfloat16"), (3, "bfloat16")]


def losses(history: History) -> list[float]:
    return [point.loss for point in history.points]


def test_the_loss_falls(together: Path) -> None:
    history = read_history(together / "stage-2")
    assert history.step == STEPS
    assert history.points[-1].loss < history.points[0].loss - 0.2
    assert history.rows == {"train": 54, "validation": 6, "truncated": 0, "dropped": 0, "duplicates": 0, "contaminated": 0}
    assert [point.step for point in history.points if point.validation_loss is not None] == [4, 8]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        pytest.param("alone", "4x2", id="one worker, two passes of four"),
        pytest.param("alone", "stage-0", id="one worker without ZeRO"),
        *(pytest.param("together", f"stage-{stage}", id=f"two workers, ZeRO stage {stage}") for stage in (0, 1, 2, 3)),
    ],
)
def test_the_same_batch_gives_the_same_losses_however_it_is_spread(
    alone: Path, request: pytest.FixtureRequest, folder: str, name: str
) -> None:
    expected = read_history(alone / "8x1")
    history = read_history(request.getfixturevalue(folder) / name)
    assert losses(history) == pytest.approx(losses(expected), abs=2e-4)
    assert history.validation_loss == pytest.approx(expected.validation_loss, abs=2e-4)
    assert [point.learned_tokens for point in history.points] == [point.learned_tokens for point in expected.points]


def test_bfloat16_learns_about_the_same(alone: Path) -> None:
    assert losses(read_history(alone / "bfloat16-0")) == pytest.approx(losses(read_history(alone / "8x1")), abs=0.1)


@pytest.mark.parametrize(("stage", "dtype"), [pytest.param(*case, id=f"{case[1]}, ZeRO stage {case[0]}") for case in RESUMED])
def test_a_resumed_run_ends_as_if_nothing_had_happened(together: Path, stage: int, dtype: str) -> None:
    name = f"{dtype}-{stage}"
    assert read_history(together / f"{name}-killed").step == 4
    whole, resumed = read_history(together / name), read_history(together / f"{name}-resumed")
    assert [point.step for point in resumed.points] == list(range(1, STEPS + 1))
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-6)
    expected = load_file(together / name / "weights.safetensors")
    weights = load_file(together / f"{name}-resumed" / "weights.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.allclose(weights[key].float(), expected[key].float(), atol=1e-6) for key in expected)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_every_trainable_weight_is_saved(together: Path, stage: int) -> None:
    saved = load_file(together / f"stage-{stage}" / WEIGHTS_FILE)
    expected = load_file(together / "stage-2" / WEIGHTS_FILE)
    linear = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert len(saved) == 2 * 2 * len(linear)
    assert {name: tensor.shape for name, tensor in saved.items()} == {name: tensor.shape for name, tensor in expected.items()}
    assert all(tensor.abs().sum() > 0 for tensor in saved.values())
    assert all(torch.allclose(saved[name], expected[name], atol=1e-3) for name in expected)


def test_the_adapter_names_its_base_by_digest_and_no_path(together: Path, yard: Any) -> None:
    config = json.loads((together / "stage-2" / CONFIG_FILE).read_text())
    assert config["base_model_name_or_path"] == yard.base_digest
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(yard.folder) not in json.dumps(config)


def test_peft_loads_the_adapter_and_finds_the_same_validation_loss(together: Path, yard: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    base = AutoModelForCausalLM.from_pretrained(yard.base)
    job = yard.job()
    rows = make_examples(job, read_corpus(job), tokenizer).validation

    def measure(model: Any) -> float:
        summed = 0.0
        for row in rows:
            ids = torch.tensor([row.ids])
            labels = ids.clone()
            labels[0, ~torch.tensor(row.mask)] = -100
            with torch.no_grad():
                summed += float(model(input_ids=ids, labels=labels).loss) * row.learned
        return summed / sum(row.learned for row in rows)

    untuned = measure(base)
    tuned = measure(PeftModel.from_pretrained(base, together / "stage-2"))
    assert tuned == pytest.approx(read_history(together / "stage-2").validation_loss, abs=1e-4)
    assert tuned < untuned - 0.2


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(alone: Path) -> None:
    text = (alone / "diverging" / "refusal-0.txt").read_text()
    assert text.startswith("the loss became nan in step ")
    assert text.endswith("; lower hyperparameters.learningRate, which is 1e+30, or use dtype float32")
