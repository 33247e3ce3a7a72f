"""What applying would start, in a platform where some is done already."""

from pathlib import Path

import pytest

from modelyard.domain.fine_tune import FineTune
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Model, ModelSpec, Source
from modelyard.domain.names import job_name
from modelyard.domain.observed import JobSeen, Platform
from modelyard.domain.resource import Metadata
from modelyard.operator.preview import preview

PLATFORM = Platform(store="file:///store", milvus_uri="http://127.0.0.1:1", capacity={"CPU": 2})
FETCH = job_name(FetchJob(store="file:///store", source=Source(uri="hf://org/base"), role="causal-lm"))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    tune = FineTune.model_validate({"dataset": {"uri": str(tmp_path / "rows.jsonl")}})
    return Model(metadata=Metadata(name="bot"), spec=ModelSpec(source=Source(uri="hf://org/base"), fine_tune=tune))


def test_weights_that_are_there_are_reused_and_training_comes_next(model: Model) -> None:
    done = {FETCH: JobSeen("succeeded", result=FetchResult(digest="b" * 64, weights_bytes=1).model_dump_json())}
    steps = preview(model, None, PLATFORM, done).steps
    assert steps[0] == f"reuses {FETCH}, which is done"
    assert [step.split()[0] for step in steps[1:]] == ["makes", "runs"]
    assert steps[2].endswith("(train)")


def test_a_job_that_runs_already_goes_on(model: Model) -> None:
    assert preview(model, None, PLATFORM, {FETCH: JobSeen("running")}).steps == (f"goes on with {FETCH}, which is running",)


def test_a_suspended_model_starts_nothing(model: Model) -> None:
    held = model.model_copy(update={"spec": model.spec.model_copy(update={"suspend": True})})
    assert preview(held, None, PLATFORM, {}).steps == ()
