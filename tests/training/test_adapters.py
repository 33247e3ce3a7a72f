import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaConfig, LlamaForCausalLM

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Adapter
from modelyard.training.adapters import add_adapter, choose_targets


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


def test_a_pattern_chooses_among_the_targets_by_their_whole_names(model: LlamaForCausalLM) -> None:
    everything = "model.layers.0.{}".format
    assert choose_targets(model, Adapter(target_pattern=".*[.](q|up)_proj")) == [everything("self_attn.q_proj"), everything("mlp.up_proj")]
    assert choose_targets(model, Adapter(target_modules=["q_proj", "o_proj"], target_pattern=".*[.]q_.*")) == [
        everything("self_attn.q_proj")
    ]
    assert choose_targets(model, Adapter()) == "all-linear"


def test_the_head_is_never_among_all_linear_layers(model: LlamaForCausalLM) -> None:
    chosen = choose_targets(model, Adapter(target_pattern=".*"))
    assert len(chosen) == 7 and "lm_head" not in chosen


def test_a_pattern_that_matches_nothing_is_refused_with_an_example(model: LlamaForCausalLM) -> None:
    with pytest.raises(
        InvalidInputError, match="'q_proj' matches none of the 7 layers, the first of which is model.layers.0.self_attn.q_pro"
    ):
        choose_targets(model, Adapter(target_pattern="q_proj"))


def test_modules_to_save_that_the_base_lacks_are_named(model: LlamaForCausalLM) -> None:
    with pytest.raises(InvalidInputError, match="modulesToSave names head, which the base does not have"):
        add_adapter(model, Adapter(modules_to_save=["head", "lm_head"]), seed=0)


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="is no regular expression: missing \\), unterminated subpattern"):
        Adapter(target_pattern="(q_proj")
