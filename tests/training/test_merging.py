"""Merged weights answer as base and adapter did together, for every kind of adapter, or they are not stored."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.domain.errors import IntegrityError, InvalidInputError
from modelyard.domain.fine_tune import Adapter, Quantization
from modelyard.training.adapters import add_adapter, write_adapter
from modelyard.training.layout import CONFIG_FILE, WEIGHTS_FILE
from modelyard.training.merging import merge
from modelyard.training.parity import BARS, QUANTIZED_BARS, compare
from modelyard.training.trainable import load_base

pytestmark = pytest.mark.filterwarnings(
    # A head that is trained for itself is another than the embedding it was tied to: PEFT warns of it, and merging sees to it.
    "ignore:Model has `tie_word_embeddings=True`:UserWarning",
    "ignore:Input and output embeddings are no longer tied after merging:UserWarning",
)

LORA = {"rank": 4, "alpha": 8}


def store_base(yard: Any, dtype: torch.dtype) -> str:
    """The tiny base in another number format."""
    model = AutoModelForCausalLM.from_pretrained(yard.base, dtype=dtype)
    with yard.store.staging(1 << 20) as folder:
        model.save_pretrained(folder)
        for file in yard.base.iterdir():
            if "token" in file.name or file.suffix == ".jinja":
                (folder / file.name).write_bytes(file.read_bytes())
        return str(yard.store.add(folder, Manifest(kind="causal-lm", files=list_files(folder))))


def store_adapter(yard: Any, adapter: dict[str, Any], base_digest: str, quantization: str = "none", size: float = 0.05) -> str:
    """An adapter as if it had been trained: nothing in it is 0, and no two of different bases are equal."""
    asked = Quantization.model_validate({"type": quantization})
    model = add_adapter(
        load_base(yard.store.open(base_digest), asked, torch.float32, torch.device("cpu")),
        Adapter.model_validate(adapter),
        seed=["none", "nf4", "int8"].index(quantization),
    )
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    with torch.no_grad():
        for weight in trained.values():
            weight.add_(torch.randn_like(weight) * size)
    with yard.store.staging(1 << 20) as folder:
        write_adapter(folder, model, trained, base_digest)
        lineage = {"version": "tiny-1", "fineTune": {"quantization": asked.wire()}}
        return str(yard.store.add(folder, Manifest(kind="adapter", files=list_files(folder), base_digest=base_digest, lineage=lineage)))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=torch.arange(40).reshape(2, 20)).logits.float()
    return found


@pytest.mark.parametrize(
    "adapter",
    [
        pytest.param(LORA, id="LoRA"),
        pytest.param({**LORA, "rankStabilized": True}, id="rsLoRA"),
        pytest.param({**LORA, "weightDecomposed": True}, id="DoRA"),
        pytest.param({**LORA, "modulesToSave": ["lm_head"]}, id="a head that is no longer the embedding"),
        pytest.param({**LORA, "modulesToSave": ["model.norm"]}, id="a norm trained whole"),
    ],
)
def test_merged_weights_are_a_plain_model_with_the_same_logits(yard: Any, adapter: dict[str, Any]) -> None:
    digest = store_adapter(yard, adapter, yard.base_digest)
    merged = yard.store.open(merge(yard.store, digest))
    base = AutoModelForCausalLM.from_pretrained(yard.base)
    untuned = logits(base)
    expected = logits(PeftModel.from_pretrained(base, yard.store.open(digest)))
    model, report = AutoModelForCausalLM.from_pretrained(merged, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert torch.allclose(logits(model), expected, atol=1e-4)
    assert not torch.allclose(expected, untuned, atol=1e-2)


def test_the_manifest_tells_how_alike_they_answer_and_what_went_in(yard: Any) -> None:
    digest = store_adapter(yard, LORA, yard.base_digest)
    manifest = yard.store.manifest(merge(yard.store, digest))
    told = manifest.lineage["merged"]
    assert (manifest.kind, manifest.base_digest, manifest.lineage["version"]) == ("causal-lm", "", "tiny-1")
    assert (told["baseDigest"], told["adapterDigest"], told["dtype"], told["dequantizedFrom"]) == (
        yard.base_digest,
        digest,
        "float32",
        "none",
    )
    assert 0 <= told["parity"]["difference"] < told["parity"]["bar"] == BARS["float32"]
    assert told["parity"]["agreement"] == 1.0
    names = {entry.path for entry in manifest.files}
    assert {"model.safetensors", "config.json", "tokenizer.json", f"adapter/{WEIGHTS_FILE}", f"adapter/{CONFIG_FILE}"} <= names


def test_a_base_in_bfloat16_stays_so_and_is_rounded_once(yard: Any) -> None:
    base_digest = store_base(yard, torch.bfloat16)
    manifest = yard.store.manifest(merged := merge(yard.store, store_adapter(yard, LORA, base_digest)))
    told = manifest.lineage["merged"]
    assert told["dtype"] == "bfloat16"
    assert 1e-4 < told["parity"]["difference"] < BARS["bfloat16"]
    assert AutoModelForCausalLM.from_pretrained(yard.store.open(merged)).dtype == torch.bfloat16


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_an_adapter_of_a_quantized_base_goes_into_that_base_as_it_was_trained(yard: Any, quantization: str) -> None:
    digest = store_adapter(yard, LORA, yard.base_digest, quantization)
    merged = merge(yard.store, digest)
    told = yard.store.manifest(merged).lineage["merged"]
    assert told["dequantizedFrom"] == quantization
    assert 0 < told["parity"]["difference"] < told["parity"]["bar"] == QUANTIZED_BARS[quantization]
    quantized = load_base(yard.base, Quantization.model_validate({"type": quantization}), torch.float32, torch.device("cpu"))
    trained = PeftModel.from_pretrained(quantized.dequantize(), yard.store.open(digest))
    layer = trained.base_model.model.model.layers[0].self_attn.q_proj
    base, found = (AutoModelForCausalLM.from_pretrained(folder) for folder in (yard.base, yard.store.open(merged)))
    weight, plain = (model.model.layers[0].self_attn.q_proj.weight for model in (found, base))
    assert torch.allclose(weight, layer.base_layer.weight + layer.get_delta_weight("default"), atol=1e-5)
    assert not torch.allclose(weight, plain + layer.get_delta_weight("default"), atol=1e-4), "not the base that it was not trained on"


def test_a_merge_that_answers_differently_is_not_stored(yard: Any) -> None:
    base_digest = store_base(yard, torch.float16)
    digest = store_adapter(yard, {"rank": 4, "alpha": 1e9}, base_digest)
    before = {folder.name for folder in Path(yard.store.root).iterdir()}
    with pytest.raises(IntegrityError, match="the merged weights answer differently: their logits differ by nan, and the bar for float16"):
        merge(yard.store, digest)
    assert {folder.name for folder in Path(yard.store.root).iterdir()} == before


def test_only_adapters_are_merged(yard: Any) -> None:
    with pytest.raises(InvalidInputError, match="is a causal-lm, not an adapter"):
        merge(yard.store, yard.base_digest)


def test_a_difference_above_the_bar_does_not_hold() -> None:
    logits = [torch.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 1.0]])]
    shifted = [logits[0] + 7.0]
    assert compare(logits, shifted, 1e-6).holds, "no probability depends on what is added to all logits"
    wrong = compare(logits, [logits[0].flip(-1)], 0.03)
    assert not wrong.holds and wrong.agreement == 0.5
    assert not compare(logits, [logits[0] * float("nan")], 0.03).holds
