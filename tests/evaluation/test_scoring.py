import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.tiny_models import build_llama
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from modelyard.artifacts.content import content_digest
from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.evaluation import FewShot, Score, Suite
from modelyard.domain.job import EvaluateJob, EvaluateResult
from modelyard.evaluation.samples import read_samples
from modelyard.evaluation.scoring import evaluate
from modelyard.evaluation.weights import choose_dtype

WriteRows = Callable[[str, Sequence[tuple[str, str]]], str]
LESSON = '{"n": 1}'
PAIRS = [("one?", LESSON), ("one more?", LESSON), ("two?", '{"n": 2}'), ("and with a field more?", '{"n": 1, "m": 2}')]


@dataclass(frozen=True)
class Yard:
    """A base that answers `{"n": 1}` to everything, an adapter that spoils it, and one for another base."""

    store: str
    base: str
    spoiler: str
    stranger: str


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Yard:
    store = ArtifactStore(tmp_path_factory.mktemp("store").as_uri())
    model = build_llama(tokenizer, max_position_embeddings=256)
    teach(model, tokenizer, LESSON)
    with store.staging(1 << 20) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        base = store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))
    return Yard(store.root_uri, base, add_spoiler(store, model, base), add_spoiler(store, model, "f" * 64))


def teach(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, answer: str) -> None:
    """Train a model to give one answer whatever comes before."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    wanted = tokenizer(answer + "</s>", add_special_tokens=False)["input_ids"]
    for step in range(60):
        questions = torch.randint(3, len(tokenizer), (8, 8 + 4 * (step % 10)))
        start = torch.tensor([tokenizer("<s>assistant:", add_special_tokens=False)["input_ids"]] * 8)
        ids = torch.cat([questions, start, torch.tensor([wanted] * 8)], dim=1)
        labels = torch.full_like(ids, -100)
        labels[:, -len(wanted) :] = ids[:, -len(wanted) :]
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def add_spoiler(store: ArtifactStore, model: LlamaForCausalLM, base_digest: str) -> str:
    """Store an adapter of random weights."""
    torch.manual_seed(1)
    adapted = get_peft_model(
        LlamaForCausalLM(model.config), LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False)
    )
    with store.staging(1 << 20) as folder:
        adapted.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        return store.add(folder, Manifest(kind="adapter", base_digest=base_digest, files=list_files(folder)))


def job(yard: Yard, suites: list[Suite], adapter: str = "") -> EvaluateJob:
    digests = {suite.name: content_digest(suite.uri) for suite in suites}
    return EvaluateJob(store=yard.store, base_digest=yard.base, adapter_digest=adapter, suites=suites, suite_digests=digests)


def by_metric(scores: Sequence[Score]) -> dict[str, Score]:
    return {score.metric: score for score in scores}


@pytest.mark.slow
def test_the_job_from_spec_to_result(yard: Yard, write_rows: WriteRows, tmp_path: Path) -> None:
    run = RunFolder((tmp_path / "run").as_uri())
    few_shot = FewShot(uri=write_rows("train.jsonl", [("three?", '{"n": 3}')]), counts=[0, 1])
    spec = job(yard, [Suite(name="records", uri=write_rows("suite.jsonl", PAIRS), max_tokens=16, few_shot=few_shot)])
    run.write("spec.json", json.dumps(spec.wire()))
    subprocess.run([sys.executable, "-m", "modelyard.evaluation", "--run", run.uri], check=True)
    result = EvaluateResult.model_validate_json(run.read("result.json") or "")
    scores = by_metric(result.scores)
    # {"n": 1} is wholly right twice, wholly wrong once, and once one of two fields.
    assert scores["records.field_score"].value == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert scores["records.exact_match"].value == pytest.approx(2 / 4)
    assert scores["records.valid_json"].value == pytest.approx(3 / 4)
    assert scores["records.field_n"].value == pytest.approx(3 / 4)
    assert scores["records.answered"].value == 1.0
    assert "records.field_m" not in scores
    assert 0 <= scores["records.field_score"].low < scores["records.field_score"].value < scores["records.field_score"].high <= 1
    assert [attempt.shots for attempt in result.attempts] == [0, 1]
    progress = run.read_progress()
    assert progress is not None
    assert (progress.step, progress.total_steps, progress.percent) == (8, 8, pytest.approx(100))
    samples = read_samples(run)
    assert [(sample.shots, sample.line) for sample in samples] == [(shots, line) for shots in (0, 1) for line in (1, 2, 3, 4)]
    assert (samples[0].answer, samples[0].gold, samples[0].prompt_tail) == (LESSON, LESSON, "one?")


def test_an_adapter_changes_the_answers_and_is_shown_no_examples(yard: Yard, write_rows: WriteRows, tmp_path: Path) -> None:
    few_shot = FewShot(uri=write_rows("train.jsonl", [("three?", '{"n": 3}')]), counts=[0, 1])
    suite = Suite(name="records", uri=write_rows("suite.jsonl", PAIRS), max_tokens=16, few_shot=few_shot)
    result = evaluate(job(yard, [suite], yard.spoiler), RunFolder((tmp_path / "run").as_uri()))
    assert [attempt.shots for attempt in result.attempts] == [0]
    assert by_metric(result.scores)["records.field_score"].value == 0.0


def test_an_adapter_of_another_base_is_refused_by_name(yard: Yard, write_rows: WriteRows, tmp_path: Path) -> None:
    suite = Suite(name="records", uri=write_rows("suite.jsonl", PAIRS))
    message = f"adapter {yard.stranger[:12]} was trained on base ffffffffffff, not {yard.base[:12]}"
    with pytest.raises(InvalidInputError, match=message):
        evaluate(job(yard, [suite], yard.stranger), RunFolder((tmp_path / "run").as_uri()))


def test_a_base_is_no_adapter(yard: Yard, write_rows: WriteRows, tmp_path: Path) -> None:
    suite = Suite(name="records", uri=write_rows("suite.jsonl", PAIRS))
    with pytest.raises(InvalidInputError, match="is a causal-lm, not an adapter"):
        evaluate(job(yard, [suite], yard.base), RunFolder((tmp_path / "run").as_uri()))


def test_a_row_that_cannot_be_asked_stays_in_the_mean_as_a_zero(yard: Yard, write_rows: WriteRows, tmp_path: Path) -> None:
    run = RunFolder((tmp_path / "run").as_uri())
    suite = Suite(name="records", uri=write_rows("suite.jsonl", [PAIRS[0], ("x" * 300, LESSON)]), max_tokens=16)
    scores = by_metric(evaluate(job(yard, [suite]), run).scores)
    assert scores["records.field_score"].value == scores["records.answered"].value == 0.5
    assert scores["records.field_score"].rows == 2
    assert "the prompt has" in read_samples(run)[1].error


def test_of_equal_attempts_the_one_with_fewer_examples_counts_for_each_suite(yard: Yard, write_rows: WriteRows, tmp_path: Path) -> None:
    few_shot = FewShot(uri=write_rows("train.jsonl", [("three?", "3")]), counts=[1, 0])
    texts = Suite(name="texts", uri=write_rows("texts.jsonl", [("one?", "n 1"), ("two?", "2")]), max_tokens=16, few_shot=few_shot)
    records = Suite(name="records", uri=write_rows("suite.jsonl", PAIRS), max_tokens=16)
    result = evaluate(job(yard, [texts, records]), RunFolder((tmp_path / "run").as_uri()))
    scores = by_metric(result.scores)
    assert scores["texts.f1"].value == pytest.approx(0.5)
    assert {"texts.exact_match", "texts.contains", "records.field_score"} <= scores.keys()
    assert [(attempt.suite, attempt.shots) for attempt in result.attempts] == [("texts", 1), ("texts", 0), ("records", 0)]
    assert result.attempts[0].scores[0].value == result.attempts[1].scores[0].value
    assert result.scores[: len(result.attempts[1].scores)] == result.attempts[1].scores


@pytest.mark.parametrize(
    ("device", "capabilities", "dtype"),
    [
        pytest.param("cuda", {}, torch.bfloat16, id="a GPU"),
        pytest.param("cpu", {"avx512_f": True, "avx512_bf16": True}, torch.bfloat16, id="a CPU with bf16 products"),
        pytest.param("cpu", {"avx512_f": True, "avx512_bf16": False}, torch.float32, id="a CPU that would emulate them"),
    ],
)
def test_number_format(device: str, capabilities: dict[str, bool], dtype: torch.dtype) -> None:
    assert choose_dtype(device, capabilities) is dtype
