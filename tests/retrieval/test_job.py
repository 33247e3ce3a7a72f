import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts.runs import RunFolder, run_job
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from modelyard.domain.job import IngestJob, IngestResult
from modelyard.domain.knowledge_base import Chunking, DocumentSource
from modelyard.domain.resource import Progress
from modelyard.retrieval import job
from modelyard.retrieval.embedding import EmbeddingModel
from modelyard.retrieval.job import ingest
from modelyard.retrieval.store import VectorStore

pytestmark = pytest.mark.slow

DOCUMENTS = {
    "assert.md": "# The assert statement\n\nA failing assert statement raises AssertionError.\n",
    "food/bread.txt": "Bread\n=====\n\nBread is baked from flour and water. It is eaten with butter.\n\nRye\n---\n\nRye bread is dark.\n",
}


class Run(RunFolder):
    """A run folder that remembers every report."""

    reports: list[Progress] = []

    def report(self, progress: Progress, *, force: bool = False) -> None:
        self.reports = [*self.reports, progress]
        super().report(progress, force=True)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run((tmp_path / "run").as_uri())


@pytest.fixture
def spec(milvus: Any, minilm: tuple[str, str], tmp_path: Path) -> Iterator[IngestJob]:
    folder = tmp_path / "docs"
    for name, text in DOCUMENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    yield IngestJob(
        store=minilm[0],
        sources=[DocumentSource(uri=str(folder))],
        chunking=Chunking(),
        embedding_digest=minilm[1],
        milvus_uri=milvus.uri,
        collection="kb_job_1",
        alias="kb_job",
    )
    VectorStore(milvus.uri).remove("kb_job")


def search(spec: IngestJob, query: str) -> Any:
    model = EmbeddingModel(ArtifactStore(spec.store).open(spec.embedding_digest))
    return VectorStore(spec.milvus_uri).search(spec.alias, model.embed([query])[0].tolist(), 10)


def test_documents_become_searchable_with_their_places(spec: IngestJob, run: Run, tmp_path: Path) -> None:
    assert ingest(spec, run) == IngestResult(collection="kb_job_1", documents=2, chunks=3)
    best, *others = search(spec, "Which error does a false assertion cause?")
    assert (best.file, best.title, best.heading) == ("docs/assert.md", "The assert statement", "")
    assert {(other.file, other.heading) for other in others} == {("docs/food/bread.txt", ""), ("docs/food/bread.txt", "Rye")}
    for hit in (best, *others):
        assert (tmp_path / hit.file).read_text()[hit.start_char : hit.end_char] == hit.text


def test_progress_names_stages_counts_and_time_left(spec: IngestJob, run: Run) -> None:
    ingest(spec, run)
    stages = list(dict.fromkeys(report.stage for report in run.reports))
    assert stages == ["loading", "parsing", "embedding", "indexing", "published"]
    embedded = [report for report in run.reports if report.stage == "embedding"][-1]
    assert (embedded.step, embedded.total_steps, embedded.percent, embedded.eta_seconds) == (3, 3, 100.0, 0.0)


def test_a_new_build_replaces_the_old_one(spec: IngestJob, run: Run, tmp_path: Path) -> None:
    ingest(spec, run)
    (tmp_path / "docs" / "assert.md").unlink()
    ingest(spec.model_copy(update={"collection": "kb_job_2"}), run)
    assert {hit.file for hit in search(spec, "assert")} == {"docs/food/bread.txt"}


def test_work_that_is_published_is_not_done_again(spec: IngestJob, run: Run) -> None:
    first = ingest(spec, run)
    run.reports = []
    assert ingest(spec, run) == first
    assert "embedding" not in {report.stage for report in run.reports}


def test_a_run_that_crashed_is_run_again_without_duplicates(spec: IngestJob, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crashing(VectorStore):
        def insert(self, collection: str, passages: Sequence[Any], vectors: Sequence[Sequence[float]]) -> None:
            super().insert(collection, passages, vectors)
            raise RuntimeError("killed after the first rows")

    with monkeypatch.context() as crash:
        crash.setattr(job, "VectorStore", Crashing)
        crash.setattr(job, "ROWS_AN_INSERT", 1)
        with pytest.raises(RuntimeError, match="killed"):
            ingest(spec, run)
    assert VectorStore(spec.milvus_uri).published(spec.alias) is None, "readers see nothing of it"
    assert ingest(spec, run).chunks == 3
    found = [hit.chunk_id for hit in search(spec, "bread")]
    assert len(found) == len(set(found)) == 3


def without_text(spec: IngestJob) -> IngestJob:
    for path in Path(spec.sources[0].uri).rglob("*.*"):
        path.write_text(" \n")
    return spec


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        pytest.param(
            lambda s: s.model_copy(update={"chunking": Chunking(max_tokens=300)}),
            InvalidInputError,
            "chunking.maxTokens 300 is more than the 254",
            id="chunks that the model cannot read whole",
        ),
        pytest.param(
            lambda s: s.model_copy(update={"collection": "other"}),
            InvalidInputError,
            "other does not belong to alias kb_job",
            id="a name that readers could not be moved from",
        ),
        pytest.param(
            lambda s: s.model_copy(update={"embedding_digest": "0" * 64}),
            NotFoundError,
            "artifact 000000000000 is not in",
            id="no such model",
        ),
        pytest.param(
            lambda s: s.model_copy(update={"milvus_uri": "http://127.0.0.1:9"}),
            UnavailableError,
            "Milvus at http://127.0.0.1:9 does not answer",
            id="no Milvus",
        ),
        pytest.param(
            lambda s: s.model_copy(update={"sources": [DocumentSource(uri="/nowhere")]}),
            NotFoundError,
            "/nowhere does not exist",
            id="no documents",
        ),
        pytest.param(without_text, InvalidInputError, "hold no text", id="only empty documents"),
    ],
)
def test_problems_are_told_in_words(
    spec: IngestJob, run: Run, change: Callable[[IngestJob], IngestJob], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ingest(change(spec), run)


def test_the_command_reads_a_spec_and_writes_a_result(spec: IngestJob, run: Run) -> None:
    run.write("spec.json", json.dumps(spec.wire()))
    subprocess.run([sys.executable, "-m", "modelyard.retrieval", "--run", run.uri], check=True, capture_output=True)
    assert json.loads(run.read("result.json") or "") == {"collection": "kb_job_1", "documents": 2, "chunks": 3}


def test_a_failure_is_one_line_without_a_traceback(spec: IngestJob, run: Run) -> None:
    run.write("spec.json", json.dumps(spec.model_copy(update={"sources": [DocumentSource(uri="/nowhere")]}).wire()))
    assert run_job(["--run", run.uri], IngestJob, ingest) == 1
    failure = run.read_failure()
    assert failure is not None
    assert failure.message == "/nowhere does not exist; correct sources[].uri; it is read on the machine that runs the job"
    assert not failure.retryable
