from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.architecture import Architecture
from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Model, Source
from modelyard.domain.names import job_name
from modelyard.operator.admission import Known
from modelyard.operator.admission_look import AdmissionLook
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.kubernetes import RetryLaterError
from modelyard.operator.quota import Quota

SHAPE = Architecture(parameters=1, layers=1, hidden_size=1, heads=1, kv_heads=1, head_dim=1, feed_forward_size=1, gated=True, vocabulary=1)
QUOTAS = [{"metadata": {"name": "team"}, "spec": {"hard": {"cpu": "4"}}, "status": {"used": {"cpu": "1"}}}]
READ = [Quota("team", {"cpu": 4}, {"cpu": 1})]


class FakeApi:
    """Lists what it was given, or fails."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> Any:
        assert (kind, namespace) == ("ResourceQuota", "team")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def look(folder: Path, answer: Any = QUOTAS) -> Known:
    settings = ClusterSettings.model_validate(
        {
            "image": "yard:1",
            "rayVersion": "2.60.0",
            "storeUri": "s3://yard/store",
            "runsUri": folder.as_uri(),
            "milvusUri": "http://milvus:19530",
            "profiles": {"cpu": {"limits": {"cpu": "4"}, "rayResources": {"CPU": 4}, "memoryGib": 16}},
            "defaultProfile": "cpu",
        }
    )
    model = Model.model_validate({"metadata": {"name": "bot", "namespace": "team"}, "spec": {"source": {"uri": "hf://org/base"}}})
    return AdmissionLook(FakeApi(answer), settings)(model)  # type: ignore[arg-type]


def keep(folder: Path, result: str, namespace: str = "team", revision: str = "main") -> None:
    """The result of a fetch, wherever the store was then."""
    source = Source(uri="hf://org/base", revision=revision)
    name = job_name(FetchJob(store="s3://elsewhere", source=source, role="causal-lm"))
    RunFolder(f"{folder.as_uri()}/{namespace}/{name}").write("result.json", result)


def test_the_shape_comes_from_the_fetch_that_the_model_would_share(tmp_path: Path) -> None:
    keep(tmp_path, FetchResult(digest="d", weights_bytes=1, architecture=SHAPE).model_dump_json())
    assert look(tmp_path) == Known(SHAPE, READ)


def test_another_revision_or_namespace_tells_nothing(tmp_path: Path) -> None:
    result = FetchResult(digest="d", weights_bytes=1, architecture=SHAPE).model_dump_json()
    keep(tmp_path, result, namespace="other")
    keep(tmp_path, result, revision="next")
    assert look(tmp_path) == Known(None, READ)


def test_a_result_of_before_tells_no_shape(tmp_path: Path) -> None:
    keep(tmp_path, '{"digest": "d", "weightsBytes": 1}')
    assert look(tmp_path) == Known(None, READ)


def test_a_result_that_is_broken_is_a_warning(tmp_path: Path) -> None:
    keep(tmp_path, "{")
    assert look(tmp_path) == Known(None, READ, ["Modelyard could not see whether it fits into memory: ValidationError"])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(RetryLaterError("GET …: 403"), "RetryLaterError", id="no right to, or no answer"),
        pytest.param([{"metadata": {"name": "team"}, "spec": {"hard": {"cpu": "lots"}}}], "ValueError", id="a quantity that is none"),
    ],
)
def test_quotas_that_cannot_be_read_are_a_warning(tmp_path: Path, answer: Any, error: str) -> None:
    assert look(tmp_path, answer) == Known(None, [], [f"Modelyard could not see whether the namespace's quotas allow it: {error}"])
