"""The job queue, with a Ray that does what the test says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import UnavailableError
from modelyard.domain.job import FetchJob, IngestJob
from modelyard.domain.knowledge_base import Chunking, DocumentSource
from modelyard.domain.model import Source
from modelyard.domain.resource import Metadata, Resource
from modelyard.operator.jobs import LocalJobs, requeue


class FakeRay:
    """Jobs run until the test ends them."""

    def __init__(self) -> None:
        self.jobs: dict[str, SimpleNamespace] = {}
        self.entrypoints: list[str] = []

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any], metadata: dict[str, str]) -> str:
        self.jobs[submission_id] = SimpleNamespace(status="RUNNING", message="", log="")
        self.entrypoints.append(entrypoint)
        return submission_id

    def get_job_info(self, job_id: str) -> Any:
        if job_id not in self.jobs:
            raise RuntimeError(f"Request failed with status code 404: Job {job_id} does not exist.")
        return self.jobs[job_id]

    def get_job_logs(self, job_id: str) -> str:
        return str(self.jobs[job_id].log)

    def stop_job(self, job_id: str) -> bool:
        self.jobs[job_id].status = "STOPPED"
        return True

    def end(self, status: str, message: str = "", log: str = "") -> None:
        for job in self.jobs.values():
            if job.status == "RUNNING":
                job.status, job.message, job.log = status, message, log


@pytest.fixture
def ray() -> FakeRay:
    return FakeRay()


@pytest.fixture
def jobs(tmp_path: Path, ray: FakeRay) -> LocalJobs:
    (tmp_path / "artifacts").mkdir()
    return LocalJobs((tmp_path / "runs").as_uri(), ArtifactStore((tmp_path / "artifacts").as_uri()), ray, {"OMP_NUM_THREADS": "2"})


FETCH = FetchJob(store="file:///s", source=Source(uri="file:///w"), role="causal-lm")
INGEST = IngestJob(
    store="file:///s",
    sources=[DocumentSource(uri="file:///d")],
    chunking=Chunking(),
    embedding_digest="e" * 64,
    milvus_uri="http://127.0.0.1:1",
    collection="c",
    alias="a",
)
OWNER = Resource(kind="KnowledgeBase", metadata=Metadata(name="docs"))


def phases(jobs: LocalJobs) -> dict[str, str]:
    return {name: seen.phase for name, seen in jobs.observe().items()}


def test_jobs_run_one_at_a_time_in_the_order_they_came(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.submit("two", INGEST, OWNER)
    jobs.advance({"one", "two"})
    assert phases(jobs) == {"one": "running", "two": "queued"}
    jobs.run("one").write("result.json", '{"collection":"c","documents":1,"chunks":1}')
    ray.end("SUCCEEDED")
    assert phases(jobs) == {"one": "succeeded", "two": "queued"}
    jobs.advance({"one", "two"})
    assert phases(jobs) == {"one": "succeeded", "two": "running"}
    assert "-m modelyard.retrieval --run file://" in ray.entrypoints[0]


def test_submitting_a_queued_or_running_job_again_changes_nothing(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    assert len(ray.entrypoints) == 1


def test_a_failure_that_the_job_explained_is_told_in_its_words(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    jobs.run("one").write("failure.json", '{"message":"line 3 is broken; mend it","retryable":false}')
    ray.end("FAILED", "driver exited with code 1")
    seen = jobs.observe()["one"]
    assert (seen.phase, seen.message, seen.retryable) == ("failed", "line 3 is broken; mend it", False)


def test_a_job_that_died_without_a_word_is_retryable_and_shows_its_last_line(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    ray.end("FAILED", "exit code -9", log="step 1\nKilled\n\n")
    seen = jobs.observe()["one"]
    assert (seen.phase, seen.message, seen.retryable, seen.attempts) == ("failed", "Killed", True, 1)
    assert (jobs.run("one").read("log.txt") or "").startswith("step 1")
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    assert jobs.observe()["one"].attempts == 2


def test_a_preempted_job_is_started_again_and_uses_up_no_attempt(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    for preemptions in (1, 2):
        jobs.advance({"one"})
        jobs.run("one").write("failure.json", '{"message":"preempted after step 5","retryable":true,"preempted":true}')
        ray.end("FAILED", "driver exited with code 1")
        seen = jobs.observe()["one"]
        assert (seen.phase, seen.reason, seen.message, seen.attempts) == ("failed", "Preempted", "preempted after step 5", 0)
        assert len(ray.entrypoints) == preemptions
        jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    assert jobs.observe()["one"].attempts == 1


def test_a_job_that_ray_has_lost_is_started_again(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    ray.jobs.clear()
    assert phases(jobs) == {"one": "queued"}
    jobs.advance({"one"})
    assert phases(jobs) == {"one": "running"}


def test_a_ray_that_answers_with_an_error_does_not_start_the_job_twice(
    jobs: LocalJobs, ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})

    def broken(job_id: str) -> Any:
        raise RuntimeError("Request failed with status code 500: overloaded")

    monkeypatch.setattr(ray, "get_job_info", broken)
    with pytest.raises(UnavailableError, match="overloaded"):
        jobs.observe()
    monkeypatch.undo()
    assert phases(jobs) == {"one": "running"}


def test_a_failed_job_can_be_queued_again_from_its_first_attempt(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    ray.end("FAILED")
    jobs.observe()
    requeue(jobs.run("one"))
    assert phases(jobs) == {"one": "queued"}
    jobs.advance({"one"})
    assert jobs.observe()["one"].attempts == 1


def test_a_result_written_just_before_ray_was_lost_still_counts(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    jobs.run("one").write("result.json", '{"collection":"c","documents":1,"chunks":1}')
    ray.jobs.clear()
    assert phases(jobs) == {"one": "succeeded"}


def test_a_running_job_that_nobody_wants_is_stopped_and_forgotten(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    jobs.advance(set())
    assert [job.status for job in ray.jobs.values()] == ["STOPPED"]
    assert phases(jobs) == {}


def test_a_succeeded_job_is_kept_though_nobody_wants_it_now(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    jobs.run("one").write("result.json", '{"collection":"c","documents":1,"chunks":1}')
    ray.end("SUCCEEDED")
    phases(jobs)
    jobs.advance(set())
    assert phases(jobs) == {"one": "succeeded"}


def test_a_fetch_whose_artifact_was_deleted_counts_as_not_done(jobs: LocalJobs, ray: FakeRay, tmp_path: Path) -> None:
    with jobs.store.staging(1) as folder:
        (folder / "config.json").write_text("{}")
        digest = jobs.store.add(folder, Manifest(kind="causal-lm", files=list_files(folder)))
    jobs.submit("one", FETCH, OWNER)
    jobs.advance({"one"})
    jobs.run("one").write("result.json", f'{{"digest":"{digest}","weightsBytes":2}}')
    ray.end("SUCCEEDED")
    assert phases(jobs) == {"one": "succeeded"}
    jobs.store.delete(digest)
    assert phases(jobs) == {}
    jobs.submit("one", FETCH, OWNER)
    jobs.advance({"one"})
    assert phases(jobs) == {"one": "running"}


def test_a_new_queue_on_the_same_folders_knows_all_that_the_old_one_did(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.submit("two", INGEST, OWNER)
    jobs.advance({"one", "two"})
    again = LocalJobs(jobs.runs_uri, jobs.store, ray, {})
    assert phases(again) == phases(jobs) == {"one": "running", "two": "queued"}


def test_a_held_job_is_stopped_keeps_its_run_and_goes_on_later_without_counting_as_an_attempt(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.advance({"one"})
    jobs.run("one").write("checkpoint", "half")
    jobs.advance({"one"}, {"one"})
    assert phases(jobs) == {"one": "queued"}
    assert [job.status for job in ray.jobs.values()] == ["STOPPED"]
    jobs.advance({"one"}, {"one"})
    assert len(ray.entrypoints) == 1
    jobs.advance({"one"})
    assert phases(jobs) == {"one": "running"}
    assert jobs.observe()["one"].attempts == 1
    assert jobs.run("one").read("checkpoint") == "half"


def test_another_job_runs_while_one_is_held(jobs: LocalJobs, ray: FakeRay) -> None:
    jobs.submit("one", INGEST, OWNER)
    jobs.submit("two", INGEST, OWNER)
    jobs.advance({"one", "two"}, {"one"})
    assert phases(jobs) == {"one": "queued", "two": "running"}
