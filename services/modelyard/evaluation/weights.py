"""Load a base model, with an adapter merged into it, ready to answer. Knows no suite."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError


@dataclass(frozen=True)
class Weights:
    """A model and the tokenizer that belongs to it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def load_weights(store: ArtifactStore, base_digest: str, adapter_digest: str = "") -> Weights:
    """The base on the best device and in the best number format there is, with the adapter merged in memory.

    Raises InvalidInputError for an adapter of another base, and what the store raises.
    """
    adapter = _open_adapter(store, base_digest, adapter_digest) if adapter_digest else None
    folder = store.open(base_digest)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = choose_dtype(device, torch.cpu.get_capabilities())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.chat_template:
        raise InvalidInputError(
            f"the tokenizer of {store.uri(base_digest)} has no chat template, so that a question cannot be put to it",
            "take an instruction-tuned base",
        )
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return Weights(model.to(device).eval(), tokenizer)


def choose_dtype(device: str, capabilities: Mapping[str, Any]) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, else float32.

    capabilities: `torch.cpu.get_capabilities()`. On a CPU without bf16 instructions it is emulated, and slower.
    """
    if device == "cuda" or any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16")):
        return torch.bfloat16
    return torch.float32


def _open_adapter(store: ArtifactStore, base_digest: str, adapter_digest: str) -> str:
    manifest = store.manifest(adapter_digest)
    if manifest.kind != "adapter":
        raise InvalidInputError(f"artifact {adapter_digest[:12]} is a {manifest.kind}, not an adapter", "name the digest of an adapter")
    if manifest.base_digest != base_digest:
        raise InvalidInputError(
            f"adapter {adapter_digest[:12]} was trained on base {manifest.base_digest[:12]}, not {base_digest[:12]}",
            "score it with its own base, or train it anew on this one",
        )
    return str(store.open(adapter_digest))
