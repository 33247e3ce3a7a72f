import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save_file

from modelyard.artifacts.architecture import read_architecture
from modelyard.artifacts.fetch import fetch_into
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.architecture import Architecture
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Source

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}
TENSORS = {"model.embed_tokens.weight": (100, 8), "model.layers.0.mlp.gate_proj.weight": (20, 8), "lm_head.weight": (100, 8)}
SHAPE = Architecture(
    parameters=100 * 8 + 20 * 8 + 100 * 8,
    layers=2,
    hidden_size=8,
    heads=4,
    kv_heads=2,
    head_dim=2,
    feed_forward_size=20,
    gated=True,
    vocabulary=100,
)


def read(folder: Path, config: dict[str, Any] | str, tensors: Mapping[str, tuple[int, ...]]) -> Architecture | None:
    """The tensors are spread over two files."""
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    arrays = {name: numpy.zeros(shape, numpy.float16) for name, shape in tensors.items()}
    first = dict(list(arrays.items())[:1])
    save_file(first, folder / "model-1-of-2.safetensors")
    save_file({name: array for name, array in arrays.items() if name not in first}, folder / "model-2-of-2.safetensors", {"format": "pt"})

    def read_bytes(path: str, start: int | None, end: int | None) -> bytes:
        return (folder / path).read_bytes()[start:end]

    return read_architecture(read_bytes, [path.name for path in folder.iterdir()])


@pytest.mark.parametrize(
    ("config", "tensors", "expected"),
    [
        pytest.param({}, TENSORS, {}, id="a Llama, its tensors in two files"),
        pytest.param({"tie_word_embeddings": True}, TENSORS, {"parameters": 960}, id="a shared output layer that is stored all the same"),
        pytest.param({"head_dim": 16}, TENSORS, {"head_dim": 16}, id="heads that are not hidden size by heads"),
        pytest.param({"num_key_value_heads": None}, TENSORS, {"kv_heads": 4}, id="without grouped queries"),
        pytest.param(
            {"moe_intermediate_size": 5, "num_experts_per_tok": 3},
            TENSORS,
            {"feed_forward_size": 15},
            id="the experts of a token",
        ),
        pytest.param({"layer_types": ["full_attention", "sliding_attention"]}, TENSORS, {}, id="sliding windows"),
        pytest.param({}, {"wte.weight": (100, 8)}, {"parameters": 800, "gated": False}, id="a feed-forward layer without a gate"),
    ],
)
def test_the_shape_is_read_from_configuration_and_headers(
    tmp_path: Path, config: dict[str, Any], tensors: dict[str, tuple[int, ...]], expected: dict[str, Any]
) -> None:
    assert read(tmp_path, LLAMA | config, tensors) == SHAPE.model_copy(update=expected)


def test_the_words_of_gpt_2_are_known(tmp_path: Path) -> None:
    config = {"n_embd": 8, "n_head": 4, "n_layer": 3, "n_inner": None, "vocab_size": 50}
    shape = read(tmp_path, config, {"h.0.mlp.c_fc.weight": (8, 32)})
    assert shape is not None and (shape.layers, shape.hidden_size, shape.feed_forward_size, shape.kv_heads) == (3, 8, 32, 4)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(LLAMA | {"quantization_config": {"bits": 4}}, id="quantized weights"),
        pytest.param(LLAMA | {"kv_lora_rank": 512}, id="latent keys"),
        pytest.param(LLAMA | {"layer_types": ["linear_attention"]}, id="linear attention"),
        pytest.param({"architectures": ["MambaForCausalLM"], "hidden_size": 8}, id="no heads"),
        pytest.param(LLAMA | {"hidden_size": "wide"}, id="a hidden size that is text"),
        pytest.param(LLAMA | {"num_attention_heads": 0}, id="no head at all"),
        pytest.param("[]", id="a configuration that is a list"),
        pytest.param("{", id="a configuration that is no JSON"),
    ],
)
def test_what_does_not_tell_its_memory_has_no_shape(tmp_path: Path, config: dict[str, Any] | str) -> None:
    assert read(tmp_path, config, TENSORS) is None


def test_a_header_that_is_too_long_to_be_one_is_not_read() -> None:
    files = {"config.json": json.dumps(LLAMA).encode(), "w.safetensors": (1 << 60).to_bytes(8, "little")}
    assert read_architecture(lambda path, start, end: files[path][start:end], files) is None


def test_a_fetch_tells_the_shape_and_so_does_one_that_finds_the_weights_there(
    make_model: Callable[..., Path], store: ArtifactStore
) -> None:
    folder = make_model()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    job = FetchJob(store=store.root_uri, source=Source(uri=folder.as_uri()), role="causal-lm")
    first, second = (fetch_into(store, job, lambda progress: None) for _ in range(2))
    assert first == second
    assert first.architecture == SHAPE.model_copy(update={"parameters": 64, "gated": False})


def test_results_that_were_written_before_are_read() -> None:
    assert FetchResult.model_validate_json('{"digest": "d", "weightsBytes": 1}').architecture is None
