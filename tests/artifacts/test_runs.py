import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.artifacts.runs import RunFolder, run_job
from modelyard.domain.errors import InvalidInputError, PreemptedError, UnavailableError
from modelyard.domain.job import FetchJob, FetchResult, JobFailure, TrainJob
from modelyard.domain.model import Source
from modelyard.domain.resource import Progress

RESULT = FetchResult(digest="d" * 64, weights_bytes=1)

STOPPABLE = """
import sys, time
from modelyard.artifacts.runs import run_job
from modelyard.domain.job import FetchJob

def work(spec, run):
    try:
        sys.stdout.write("working\\n")
        sys.stdout.flush()
        time.sleep(600)
    finally:
        run.write("cleaned-up.txt", "yes")

sys.exit(run_job(["--run", sys.argv[1]], FetchJob, work))
"""


@pytest.fixture(params=["file", "memory"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    return RunFolder((tmp_path / "run").as_uri() if request.param == "file" else f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def job(tmp_path: Path) -> FetchJob:
    return FetchJob(store=(tmp_path / "store").as_uri(), source=Source(uri="hf://o/m"), role="causal-lm")


def start(run: RunFolder, job: FetchJob, work: Callable[[FetchJob, RunFolder], FetchResult]) -> int:
    run.write("spec.json", json.dumps(job.wire()))
    return run_job(["--run", run.uri], FetchJob, work)


def raising(error: BaseException) -> Callable[[FetchJob, RunFolder], FetchResult]:
    def work(spec: FetchJob, run: RunFolder) -> FetchResult:
        raise error

    return work


def test_a_result_is_the_last_act(run: RunFolder, job: FetchJob) -> None:
    asked: list[FetchJob] = []

    def work(spec: FetchJob, run: RunFolder) -> FetchResult:
        asked.append(spec)
        run.report(Progress(stage="downloading", percent=50))
        return RESULT

    assert start(run, job, work) == 0
    assert asked == [job]
    assert FetchResult.model_validate_json(run.read("result.json") or "") == RESULT
    assert run.read_progress() == Progress(stage="downloading", percent=50)
    assert run.read_failure() is None


@pytest.mark.parametrize(
    ("raised", "failure", "code"),
    [
        pytest.param(
            InvalidInputError("hf://o/m is gated", "accept its licence"),
            JobFailure(message="hf://o/m is gated; accept its licence", retryable=False),
            1,
            id="a mistake of the user",
        ),
        pytest.param(
            UnavailableError("the hub is away", "wait"),
            JobFailure(message="the hub is away; wait", retryable=True),
            1,
            id="something that may pass",
        ),
        pytest.param(
            PreemptedError("the run was preempted after step 3", "start it again"),
            JobFailure(message="the run was preempted after step 3; start it again", retryable=True, preempted=True),
            1,
            id="taken away, and all is kept",
        ),
        pytest.param(
            RuntimeError("two\nlines"),
            JobFailure(message="RuntimeError: two lines; the log of this run has the details", retryable=True),
            1,
            id="a mistake of ours, on one line",
        ),
        pytest.param(
            KeyboardInterrupt(),
            JobFailure(message="the job was stopped before its end; start it again to go on", retryable=True),
            130,
            id="Ctrl-C",
        ),
        pytest.param(
            SystemExit(143),
            JobFailure(message="the job was stopped before its end; start it again to go on", retryable=True, preempted=True),
            143,
            id="SIGTERM",
        ),
    ],
)
def test_whatever_ends_a_job_is_left_for_people(
    run: RunFolder, job: FetchJob, raised: BaseException, failure: JobFailure, code: int
) -> None:
    assert start(run, job, raising(raised)) == code
    assert run.read_failure() == failure
    assert run.read("result.json") is None


def test_a_full_disk_is_one_line_with_its_place(run: RunFolder, job: FetchJob, caplog: pytest.LogCaptureFixture) -> None:
    def work(spec: FetchJob, run: RunFolder) -> FetchResult:
        with Path("/dev/full").open("w") as stream:
            stream.write("weights")
        return RESULT

    assert start(run, job, work) == 1
    failure = run.read_failure()
    assert failure
    assert " is full: " in failure.message
    assert "MiB are free; free some space" in failure.message
    assert not failure.retryable
    assert "Traceback" not in caplog.text


def test_a_new_attempt_removes_the_old_failure(run: RunFolder, job: FetchJob) -> None:
    start(run, job, raising(UnavailableError("the hub is away", "wait")))
    assert start(run, job, lambda spec, run: RESULT) == 0
    assert run.read_failure() is None


def test_the_signal_handler_is_put_back(run: RunFolder, job: FetchJob) -> None:
    former = signal.getsignal(signal.SIGTERM)
    start(run, job, lambda spec, run: RESULT)
    assert signal.getsignal(signal.SIGTERM) is former


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(None, "spec.json is not there; jobs are started by the platform", id="no spec"),
        pytest.param("{", "spec.json: the document: Invalid JSON", id="not JSON"),
        pytest.param('{"kind": "fetch", "role": "poet"}', "spec.json: fetch.", id="not a job"),
    ],
)
def test_a_spec_that_cannot_be_read_is_explained(run: RunFolder, spec: str | None, problem: str) -> None:
    if spec is not None:
        run.write("spec.json", spec)
    assert run_job(["--run", run.uri], FetchJob, lambda spec, run: RESULT) == 1
    failure = run.read_failure()
    assert failure
    assert problem in failure.message


def test_a_job_of_another_kind_is_refused(run: RunFolder, job: FetchJob) -> None:
    run.write("spec.json", json.dumps(job.wire()))
    assert run_job(["--run", run.uri], TrainJob, lambda spec, run: RESULT) == 1
    failure = run.read_failure()
    assert failure
    assert "spec.json is a fetch job; start the service for fetch jobs on it" in failure.message


def test_a_stopped_process_cleans_up_and_says_so(tmp_path: Path, job: FetchJob) -> None:
    run = RunFolder((tmp_path / "run").as_uri())
    run.write("spec.json", json.dumps(job.wire()))
    process = subprocess.Popen([sys.executable, "-c", STOPPABLE, run.uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "working\n"
    os.kill(process.pid, signal.SIGTERM)
    _, log = process.communicate()
    assert process.returncode == 143
    assert run.read("cleaned-up.txt") == "yes"
    assert "Traceback" not in log
    failure = run.read_failure()
    assert failure
    assert "stopped" in failure.message
    assert failure.retryable


def test_reports_are_thinned_but_a_new_stage_and_the_last_word_are_not(run: RunFolder) -> None:
    for percent in range(5):
        run.report(Progress(stage="downloading", percent=percent))
    assert run.read_progress() == Progress(stage="downloading", percent=0)
    run.report(Progress(stage="converting"))
    assert run.read_progress() == Progress(stage="converting")
    run.report(Progress(stage="converting", percent=100), force=True)
    assert run.read_progress() == Progress(stage="converting", percent=100)


def test_documents_are_replaced_whole_and_removed_once(run: RunFolder) -> None:
    assert run.read("note") is None
    run.write("note", "first, and longer")
    run.write("note", "second")
    assert run.read("note") == "second"
    run.remove("note")
    run.remove("note")
    assert run.read("note") is None
