"""Every way to change weights, end to end on a few-layer model: the loss falls, and what was saved gives the same logits when reloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from modelyard.training.history import read_history

pytestmark = pytest.mark.slow

RunRanks = Callable[[Path, int, list[dict[str, Any]]], None]

ADAPTERS: dict[str, dict[str, Any]] = {
    "rsLoRA": {"rank": 4, "alpha": 4, "rankStabilized": True},
    "DoRA": {"rank": 4, "alpha": 8, "weightDecomposed": True},
    "a pattern": {"rank": 8, "alpha": 16, "targetPattern": r"model[.]layers[.]1[.].*"},
    "a list": {"rank": 8, "alpha": 16, "targetModules": ["q_proj", "mlp.down_proj"]},
    "a norm trained whole": {"rank": 4, "alpha": 8, "modulesToSave": ["model.norm"]},
    "a head of its own": {"rank": 4, "alpha": 8, "modulesToSave": ["lm_head"]},
}
EXPECTED_TENSORS = {"rsLoRA": 28, "DoRA": 42, "a pattern": 14, "a list": 8, "a norm trained whole": 29, "a head of its own": 29}


@pytest.fixture(scope="module")
def alone(yard: Any, run_ranks: RunRanks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one worker."""
    folder = tmp_path_factory.mktemp("methods")
    plan = [
        {"name": name, "spec": yard.job({"adapter": adapter, "deepspeed": {"zeroStage": 0}}).wire()} for name, adapter in ADAPTERS.items()
    ]
    run_ranks(folder, 1, plan)
    return folder


def require_learned(folder: Path) -> None:
    history = read_history(folder)
    assert history.points[-1].loss < history.points[0].loss - 0.1


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=torch.arange(40).reshape(2, 20)).logits
    return found


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_learns_and_plain_peft_reloads_it(alone: Path, yard: Any, name: str) -> None:
    require_learned(alone / name)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(yard.base), alone / name)
    trained = load_file(alone / name / "weights.safetensors")
    assert len(trained) == EXPECTED_TENSORS[name]
    reloaded = dict(model.named_parameters())
    assert all(torch.equal(reloaded[key], tensor) for key, tensor in trained.items())
    assert not torch.allclose(logits(model), logits(AutoModelForCausalLM.from_pretrained(yard.base)), atol=1e-2)
