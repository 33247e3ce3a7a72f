"""Full fine-tuning through the job's main function, as the operator starts it: what it stores is a model of its own."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.job import TrainResult
from modelyard.training.history import read_history
from modelyard.training.job import check

pytestmark = pytest.mark.slow


def test_whole_weights_are_trained_stored_and_a_base_for_the_next_training(
    yard: Any, tmp_path: Path, start: Callable[[RunFolder], subprocess.Popen[bytes]]
) -> None:
    run, job = RunFolder(str(tmp_path / "run")), yard.job({"adapter": {"type": "none"}}, learning_rate=3e-3)
    run.write("spec.json", json.dumps(job.wire()))
    process = start(run)
    try:
        assert process.wait(timeout=400) == 0, run.read("failure.json")
    finally:
        process.kill()
    result = TrainResult.model_validate_json(run.read("result.json") or "")
    folder = yard.store.open(result.digest)
    losses = [point.loss for point in read_history(folder).points]
    assert (result.kind, result.steps, len(losses)) == ("causal-lm", 8, 8)
    assert losses[-1] < losses[0] - 0.1
    assert yard.store.manifest(result.digest).lineage["baseDigest"] == yard.base_digest
    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(folder).chat_template
    check(job.model_copy(update={"base_digest": result.digest}), yard.store)
