"""What a checkpoint becomes: an adapter, whole weights, or an adapter merged into its base."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from modelyard.domain.job import TrainJob
from modelyard.training.history import History, Point
from modelyard.training.result import store_trained
from modelyard.training.trainable import load_trainable
from modelyard.training.written import write_trained


def checkpoint(yard: Any, job: TrainJob, folder: Path) -> torch.nn.Module:
    """A checkpoint as a worker writes it, after a change of every trainable weight; returns the model."""
    model = load_trainable(yard.base, job.fine_tune, torch.device("cpu"))
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in trained.values():
            weight.add_(torch.randn_like(weight) * 0.05)
    write_trained(folder, model, trained, job.base_digest)
    (folder / "optimizer-0000.safetensors").write_bytes(b"not part of the result")
    point = Point(step=1, loss=2.0, learning_rate=1e-3, learned_tokens=7, tokens_per_second=1.0, seconds=1.0, validation_loss=2.5)
    (folder / "history.json").write_text(History(total_steps=1, rows={"train": 54}, points=[point]).model_dump_json())
    return model.eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=torch.arange(40).reshape(2, 20)).logits
    return found


RUNS = ("README.md", "curve.html", "curve.png", "history.json")
TOKENIZER = ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json")
WEIGHTS = ("config.json", "generation_config.json", "model.safetensors")
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("change", "kind", "files"),
    [
        pytest.param({}, "adapter", [*RUNS, *ADAPTER], id="an adapter"),
        pytest.param({"adapter": {"type": "none"}}, "causal-lm", [*RUNS, *TOKENIZER, *WEIGHTS], id="whole weights"),
        pytest.param(
            {"merge": True}, "causal-lm", [*RUNS, *TOKENIZER, *WEIGHTS, *(f"adapter/{name}" for name in ADAPTER)], id="merged weights"
        ),
    ],
)
def test_a_checkpoint_becomes(yard: Any, tmp_path: Path, change: dict[str, Any], kind: str, files: list[str]) -> None:
    job = yard.job(change)
    expected = logits(checkpoint(yard, job, tmp_path))
    result = store_trained(yard.store, job, tmp_path)
    assert (result.kind, result.steps, result.loss, result.validation_loss, result.tokens) == (kind, 1, 2.0, 2.5, 7)
    manifest, folder = yard.store.manifest(result.digest), yard.store.open(result.digest)
    assert sorted(entry.path for entry in manifest.files) == sorted(files)
    assert (manifest.kind, manifest.base_digest) == (kind, yard.base_digest if kind == "adapter" else "")
    assert manifest.lineage["version"] == "tiny-1"
    if kind == "adapter":
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(yard.base), folder)
    else:
        assert AutoTokenizer.from_pretrained(folder).chat_template
        model = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.allclose(logits(model), expected, atol=1e-4)
    assert str(yard.folder) not in (folder / "README.md").read_text().replace(str(yard.dataset), "")
