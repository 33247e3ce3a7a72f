"""Every way to change weights, end to end on a few-layer model: the loss falls, and what was saved gives the same logits when reloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from modelyard.domain.fine_tune import Quantization
from modelyard.training.history import read_history
from modelyard.training.trainable import load_base

# A head that is trained for itself is another than the embedding it was tied to, which PEFT warns of; `merging.py` sees to it.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")]

RunRanks = Callable[[Path, int, list[dict[str, Any]]], None]
Runs = dict[str, dict[str, Any]]

LORA = {"rank": 4, "alpha": 8}
ADAPTERS: dict[str, tuple[dict[str, Any], int]] = {
    "rsLoRA": ({"rank": 4, "alpha": 4, "rankStabilized": True}, 28),
    "DoRA": ({**LORA, "weightDecomposed": True}, 42),
    "a pattern": ({"rank": 8, "alpha": 16, "targetPattern": r"model[.]layers[.]1[.].*"}, 14),
    "a list": ({"rank": 8, "alpha": 16, "targetModules": ["q_proj", "mlp.down_proj"]}, 8),
    "a norm trained whole": ({**LORA, "modulesToSave": ["model.norm"]}, 29),
    "a head of its own": ({**LORA, "modulesToSave": ["lm_head"]}, 29),
}
"""Each with the number of its tensors."""
QUANTIZED = {
    "nf4": {"type": "nf4"},
    "nf4, scales in float32": {"type": "nf4", "doubleQuantization": False},
    "int8": {"type": "int8"},
}
WHOLE = {"adapter": {"type": "none"}}

ALONE: Runs = {
    **{name: {"adapter": adapter} for name, (adapter, _) in ADAPTERS.items()},
    **{name: {"quantization": quantization} for name, quantization in QUANTIZED.items()},
    "plain": {},
    "gradients checkpointed": {"gradientCheckpointing": True},
    "optimizer offloaded": {"deepspeed": {"zeroStage": 2, "offload": "optimizer"}},
    "full": WHOLE,
    "full, gradients checkpointed": {**WHOLE, "gradientCheckpointing": True},
}
STAGE_3 = {"deepspeed": {"zeroStage": 3}, "workers": {"count": 2}}
TOGETHER: Runs = {
    "ZeRO 3": STAGE_3,
    "ZeRO 3, a head of its own": {**STAGE_3, "adapter": {**LORA, "modulesToSave": ["lm_head"]}},
    "ZeRO 3, gradients checkpointed": {**STAGE_3, "gradientCheckpointing": True},
    "ZeRO 3, parameters offloaded": {**STAGE_3, "deepspeed": {"zeroStage": 3, "offload": "parameters"}},
    "ZeRO 3, full": {**STAGE_3, **WHOLE},
    "ZeRO 2, nf4": {"deepspeed": {"zeroStage": 2}, "workers": {"count": 2}, "quantization": {"type": "nf4"}},
}


def carry_out(yard: Any, run_ranks: RunRanks, folder: Path, world: int, runs: Runs) -> Path:
    """One folder a run; those that are not told otherwise do without ZeRO."""
    plan = [{"name": name, "spec": yard.job({"deepspeed": {"zeroStage": 0}, **change}).wire()} for name, change in runs.items()]
    short = {"max_steps": 3}
    plan.append({"name": "bfloat16", "spec": yard.job({"quantization": {"type": "nf4"}}, dtype="bfloat16", **short).wire()})
    run_ranks(folder, world, plan[: len(runs) + (world == 1)])
    return folder


@pytest.fixture(scope="module")
def alone(yard: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one worker."""
    return carry_out(yard, run_ranks, tmp_path_factory.mktemp("alone"), 1, ALONE)


@pytest.fixture(scope="module")
def together(yard: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two workers."""
    return carry_out(yard, run_ranks, tmp_path_factory.mktemp("together"), 2, TOGETHER)


def losses(folder: Path) -> list[float]:
    return [point.loss for point in read_history(folder).points]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=torch.arange(40).reshape(2, 20)).logits
    return found


def require_equal(trained: Path, reloaded: torch.nn.Module) -> None:
    """Every trainable weight is as it was when training ended."""
    weights = load_file(trained / "weights.safetensors")
    found = dict(reloaded.named_parameters())
    lost = [name for name, tensor in weights.items() if name not in found or not torch.equal(found[name], tensor)]
    assert lost == []


@pytest.mark.parametrize("name", [name for name in ALONE if name != "plain"])
def test_the_loss_falls(alone: Path, name: str) -> None:
    found = losses(alone / name)
    assert found[-1] < found[0] - 0.1


@pytest.mark.parametrize("name", TOGETHER)
def test_the_loss_falls_on_two_workers(together: Path, name: str) -> None:
    found = losses(together / name)
    assert found[-1] < found[0] - 0.1


@pytest.mark.parametrize("name", ADAPTERS)
def test_plain_peft_reloads_every_trained_weight(alone: Path, yard: Any, name: str) -> None:
    assert len(load_file(alone / name / "weights.safetensors")) == ADAPTERS[name][1]
    base = AutoModelForCausalLM.from_pretrained(yard.base)
    untuned = logits(base)
    model = PeftModel.from_pretrained(base, alone / name)
    require_equal(alone / name, model)
    assert not torch.allclose(logits(model), untuned, atol=1e-2)


@pytest.mark.parametrize("name", [name for name in TOGETHER if "ZeRO 3" in name and "full" not in name])
def test_an_adapter_of_zero_3_is_saved_and_reloaded_whole(together: Path, yard: Any, name: str) -> None:
    require_equal(together / name, PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(yard.base), together / name))


@pytest.mark.parametrize("name", ["ZeRO 3", "ZeRO 3, full"])
def test_saving_without_gathering_loses_all_of_it(together: Path, name: str) -> None:
    """The known fault (deepspeedai/DeepSpeed#3090, huggingface/peft#453): the parameters lie there empty."""
    assert {tensor.numel() for tensor in load_file(together / name / "ungathered.safetensors").values()} == {0}


@pytest.mark.parametrize(("folder", "name"), [("alone", "full"), ("alone", "full, gradients checkpointed"), ("together", "ZeRO 3, full")])
def test_whole_weights_are_reloaded_as_they_were_trained(request: pytest.FixtureRequest, yard: Any, folder: str, name: str) -> None:
    trained = request.getfixturevalue(folder) / name
    model, report = AutoModelForCausalLM.from_pretrained(trained, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    require_equal(trained, model)
    assert not torch.allclose(logits(model), logits(AutoModelForCausalLM.from_pretrained(yard.base)), atol=1e-2)
    assert str(yard.folder) not in (trained / "config.json").read_text()


@pytest.mark.parametrize("name", ["gradients checkpointed", "optimizer offloaded"])
def test_what_saves_memory_changes_no_loss(alone: Path, name: str) -> None:
    assert losses(alone / name) == pytest.approx(losses(alone / "plain"), abs=1e-5)


@pytest.mark.parametrize("name", ["ZeRO 3", "ZeRO 3, gradients checkpointed", "ZeRO 3, parameters offloaded"])
def test_what_is_sharded_changes_no_loss(alone: Path, together: Path, name: str) -> None:
    assert losses(together / name) == pytest.approx(losses(alone / "plain"), abs=2e-4)


@pytest.mark.parametrize("name", QUANTIZED)
def test_an_adapter_of_a_quantized_base_gives_the_same_logits_on_it(alone: Path, yard: Any, name: str) -> None:
    base = load_base(yard.base, Quantization.model_validate(QUANTIZED[name]), torch.float32, torch.device("cpu"))
    untuned = logits(base)
    model = PeftModel.from_pretrained(base, alone / name)
    require_equal(alone / name, model)
    assert not torch.allclose(logits(model), untuned, atol=1e-2)


def test_quantized_weights_learn_about_the_same(alone: Path, together: Path) -> None:
    assert losses(alone / "nf4") == pytest.approx(losses(alone / "plain"), abs=0.1)
    assert losses(alone / "bfloat16") == pytest.approx(losses(alone / "plain")[:3], abs=0.1)
    assert losses(together / "ZeRO 2, nf4") == pytest.approx(losses(alone / "nf4"), abs=1e-3)
