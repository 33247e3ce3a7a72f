"""Read the shape of a model from its configuration and the headers of its weights. Reads no tensor."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from modelyard.domain.architecture import Architecture

Read = Callable[[str, int | None, int | None], bytes]
"""(path in the artifact, first byte, byte after the last) → those bytes; None: from the first, to the last."""

LENGTH_BYTES = 8
HEADER_LIMIT = 100_000_000
"""As the safetensors format has it."""
SHARED_OUTPUT = "lm_head.weight"
"""Stored by some although `tie_word_embeddings` says that it is the embedding itself."""
PLAIN_LAYERS = {"full_attention", "sliding_attention"}


def read_architecture(read: Read, paths: Iterable[str]) -> Architecture | None:
    """The shape of a causal language model; None where its memory does not follow from it.

    paths: of the artifact's files. None for quantized weights, for layers that are no plain attention (state spaces, latent
    keys), and for a configuration that lacks something.
    """
    names = set(paths)
    weights = sorted(name for name in names if name.endswith(".safetensors"))
    if "config.json" not in names or not weights:
        return None
    try:
        config = json.loads(read("config.json", None, None))
        shapes: dict[str, list[int]] = {}
        for name in weights:
            shapes |= _read_shapes(read, name)
        return _describe(config, shapes)
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, ValidationError):
        return None


def _read_shapes(read: Read, name: str) -> dict[str, list[int]]:
    """Tensor → shape, by the header alone."""
    length = int.from_bytes(read(name, 0, LENGTH_BYTES), "little")
    if length > HEADER_LIMIT:
        raise ValueError(f"the header of {name} has {length} bytes")
    header = json.loads(read(name, LENGTH_BYTES, LENGTH_BYTES + length))
    return {tensor: entry["shape"] for tensor, entry in header.items() if tensor != "__metadata__"}


def _describe(config: Mapping[str, Any], shapes: Mapping[str, list[int]]) -> Architecture | None:
    if "quantization_config" in config or "kv_lora_rank" in config or not set(config.get("layer_types") or []) <= PLAIN_LAYERS:
        return None
    hidden, heads = _first(config, "hidden_size", "n_embd", "d_model"), _first(config, "num_attention_heads", "n_head")
    width = _first(config, "moe_intermediate_size", "intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
    tied = bool(config.get("tie_word_embeddings"))
    return Architecture(
        parameters=sum(math.prod(shape) for tensor, shape in shapes.items() if not (tied and tensor == SHARED_OUTPUT)),
        layers=_first(config, "num_hidden_layers", "n_layer"),
        hidden_size=hidden,
        heads=heads,
        kv_heads=_first(config, "num_key_value_heads", default=heads),
        head_dim=_first(config, "head_dim", default=hidden // heads),
        feed_forward_size=width * _first(config, "num_experts_per_tok", default=1),
        gated=any("gate" in tensor or ".w3." in tensor for tensor in shapes),
        vocabulary=_first(config, "vocab_size"),
    )


def _first(config: Mapping[str, Any], *names: str, default: int | None = None) -> Any:
    """The first of the fields that is there. Raises KeyError without any and without a default."""
    found = next((config[name] for name in names if config.get(name) is not None), default)
    if found is None:
        raise KeyError(names[0])
    return found
