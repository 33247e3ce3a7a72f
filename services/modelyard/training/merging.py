"""Merge an adapter into its base: whole weights that every engine can hold, with the proof that they answer as both did together."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import IntegrityError, InvalidInputError
from modelyard.domain.fine_tune import Quantization
from modelyard.training.companions import companions
from modelyard.training.layout import CONFIG_FILE, WEIGHTS_FILE
from modelyard.training.parity import Parity, answer, choose_bar, compare
from modelyard.training.trainable import load_base
from modelyard.training.whole import write_whole

PACKAGES = ("peft", "torch", "transformers")
ADAPTER_FOLDER = "adapter"
"""Of merged weights: the adapter that went into them."""
DTYPES = ("float32", "bfloat16", "float16")


def merge(store: ArtifactStore, adapter_digest: str) -> str:
    """Store the base of an adapter with the adapter merged into it, and return the digest.

    The weights are added in float32 and stored in the base's own format; an adapter of a quantized base goes into that base
    as it was trained on, de-quantized. Raises InvalidInputError for what is no adapter, and IntegrityError, storing nothing,
    for merged weights whose logits differ from those of base and adapter by more than the bar.
    """
    manifest = store.manifest(adapter_digest)
    if manifest.kind != "adapter":
        raise InvalidInputError(f"artifact {adapter_digest[:12]} is a {manifest.kind}, not an adapter", "name the digest of an adapter")
    base, adapter = store.open(manifest.base_digest), store.open(adapter_digest)
    quantization = Quantization.model_validate(manifest.lineage.get("fineTune", {}).get("quantization", {}))
    needed = sum(file.stat().st_size for file in base.iterdir() if file.is_file()) + 2 * manifest.size_bytes
    with store.staging(needed) as folder:
        merged = fill_merged(folder, base, adapter, quantization)
        for name in ("README.md", "history.json", "curve.png"):
            if (adapter / name).exists():
                shutil.copyfile(adapter / name, folder / name)
        lineage = {**manifest.lineage, "merged": merged | {"baseDigest": manifest.base_digest, "adapterDigest": adapter_digest}}
        packages = {name: version(name) for name in PACKAGES}
        return store.add(folder, Manifest(kind="causal-lm", files=list_files(folder), lineage=lineage, packages=packages))


def fill_merged(folder: Path, base: Path, adapter: Path, quantization: Quantization) -> dict[str, Any]:
    """Write merged weights with the adapter and all that they need; returns how they came about. Raises IntegrityError."""
    parity, dtype = merge_into(folder, base, adapter, quantization)
    (folder / ADAPTER_FOLDER).mkdir()
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        shutil.copyfile(adapter / name, folder / ADAPTER_FOLDER / name)
    for file in companions(base, {file.name for file in folder.iterdir()}):
        shutil.copyfile(file, folder / file.name)
    return {"dtype": dtype, "dequantizedFrom": quantization.type, "parity": parity.wire()}


def merge_into(folder: Path, base: Path, adapter: Path, quantization: Quantization) -> tuple[Parity, str]:
    """Write merged weights and return how alike they answer, and the format that they are stored in. Raises IntegrityError."""
    dtype = _stored_format(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = load_base(base, quantization, torch.float32, torch.device("cpu"))
    adapted = PeftModel.from_pretrained(model, adapter).eval()
    expected = answer(adapted, tokenizer)
    if quantization.type != "none":
        # PEFT would round the sum to 4 bits again. Nobody could tell from the outside that this lost what was learned.
        plain = load_base(base, quantization, torch.float32, torch.device("cpu")).dequantize().float()
        adapted = PeftModel.from_pretrained(plain, adapter).eval()
    # A head that was trained for itself is then no longer tied to the embedding; PEFT says so in the configuration, and warns.
    merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    _round(merged, getattr(torch, dtype))
    parity = compare(expected, answer(merged, tokenizer), choose_bar(dtype, quantization.type))
    if not parity.holds:
        raise IntegrityError(
            f"the merged weights answer differently: their logits differ by {parity.difference:.2g}, and the bar for {dtype} is"
            f" {parity.bar:.2g}",
            "serve the adapter beside its base instead",
        )
    merged.to(getattr(torch, dtype))
    write_whole(folder, merged, dict(merged.named_parameters()))
    return parity, dtype


def _stored_format(base: Path) -> str:
    """The number format of the base's weights; float32 where it names none."""
    dtype = str(AutoConfig.from_pretrained(base).dtype or "float32").removeprefix("torch.")
    return dtype if dtype in DTYPES else "float32"


def _round(model: nn.Module, dtype: torch.dtype) -> None:
    """Give every weight the value that it will have when it is read back."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).float()
