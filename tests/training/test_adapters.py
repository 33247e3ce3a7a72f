import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Adapter
from modelyard.training.adapters import add_adapter


@pytest.fixture
def model() -> LlamaForCausalLM:
    config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    torch.manual_seed(0)
    return LlamaForCausalLM(config).to(torch.bfloat16)


def test_only_the_adapter_is_trainable_and_has_the_precision_of_the_base(model: LlamaForCausalLM) -> None:
    adapted = add_adapter(model, Adapter(rank=2), seed=0)
    trainable = {name: parameter for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert len(trainable) == 2 * 7
    assert all("lora_" in name and parameter.dtype == torch.bfloat16 for name, parameter in trainable.items())


def test_equal_seeds_give_equal_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
        adapted = add_adapter(LlamaForCausalLM(config), Adapter(rank=2), seed)
        return next(parameter for name, parameter in adapted.named_parameters() if "lora_A" in name)

    assert weights(1).equal(weights(1))
    assert not weights(1).equal(weights(2))


def test_only_the_named_modules_are_adapted(model: LlamaForCausalLM) -> None:
    adapted = add_adapter(model, Adapter(target_modules=["q_proj", "self_attn.v_proj"]), seed=0)
    assert sum(parameter.requires_grad for parameter in adapted.parameters()) == 2 * 2


def test_targets_that_the_base_lacks_are_named_with_those_it_has(model: LlamaForCausalLM) -> None:
    with pytest.raises(
        InvalidInputError, match="names query, and the linear modules of the base are down_proj, gate_proj, k_proj, lm_head"
    ):
        add_adapter(model, Adapter(target_modules=["q_proj", "query"]), seed=0)
