import json
from pathlib import Path

import pytest

from modelyard.artifacts.roles import check_role, check_weights
from modelyard.domain.errors import IntegrityError, InvalidInputError

# transformers imports torch, which warns of its own makings at first import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")

POOLING = [{"idx": 0, "path": "", "type": "x.Transformer"}, {"idx": 1, "path": "1_Pooling", "type": "x.models.Pooling"}]


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen3ForCausalLM", "GPT2LMHeadModel"])
def test_models_that_generate_are_causal(make_model, architecture: str) -> None:
    check_role(make_model(architecture=architecture), "causal-lm", "hf://o/m")


@pytest.mark.parametrize("architecture", ["BertModel", "XLMRobertaModel", "ModernBertForMaskedLM"])
def test_plain_encoders_embed(make_model, architecture: str) -> None:
    check_role(make_model(architecture=architecture), "embedding", "hf://o/m")


def test_a_sentence_transformers_folder_embeds_whatever_its_architecture(make_model) -> None:
    folder = make_model(architecture="Qwen3ForCausalLM")
    (folder / "modules.json").write_text(json.dumps(POOLING))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    check_role(folder, "embedding", "hf://o/m")


def test_a_sentence_transformers_folder_without_its_pooling_is_refused(make_model) -> None:
    folder = make_model(architecture="BertModel")
    (folder / "modules.json").write_text(json.dumps(POOLING))
    with pytest.raises(IntegrityError, match=r"hf://o/m lacks 1_Pooling/config\.json, which modules\.json lists"):
        check_role(folder, "embedding", "hf://o/m")


@pytest.mark.parametrize(
    ("architecture", "role", "problem"),
    [
        pytest.param("BertModel", "causal-lm", "hf://o/m is a BertModel, not a causal language model; set source.uri", id="an encoder"),
        pytest.param("T5ForConditionalGeneration", "causal-lm", "is a T5ForConditionalGeneration, not a causal", id="encoder and decoder"),
        pytest.param("", "causal-lm", "is a model whose config.json names no architecture, not", id="no architecture"),
        pytest.param("LlamaForCausalLM", "embedding", "is a LlamaForCausalLM, not an embedding model; use a sentence", id="a decoder"),
    ],
)
def test_other_models_are_refused(make_model, architecture: str, role, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        check_role(make_model(architecture=architecture), role, "hf://o/m")


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        pytest.param("config.json", r"hf://o/m has no config\.json", id="no configuration"),
        pytest.param("tokenizer.json", "hf://o/m has no tokenizer", id="no tokenizer"),
    ],
)
def test_an_incomplete_folder_is_refused(make_model, missing: str, problem: str) -> None:
    folder = make_model()
    (folder / missing).unlink()
    with pytest.raises(InvalidInputError, match=problem):
        check_role(folder, "causal-lm", "hf://o/m")


def test_a_configuration_that_is_not_json_is_refused(make_model) -> None:
    folder = make_model()
    (folder / "config.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"hf://o/m: config\.json is not JSON"):
        check_role(folder, "causal-lm", "hf://o/m")


def test_a_missing_shard_is_named(make_model) -> None:
    folder: Path = make_model()
    check_weights(folder, "hf://o/m")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(IntegrityError, match=r"hf://o/m lacks model-00002-of-00002\.safetensors, which model\.safetensors\.index\.json"):
        check_weights(folder, "hf://o/m")
