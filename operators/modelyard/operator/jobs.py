"""Jobs on one machine: a queue of run folders, carried out one at a time as jobs of the local Ray."""

import json
import sys
import time
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Protocol

import fsspec

from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import UnavailableError
from modelyard.domain.job import FetchJob, TrainJob
from modelyard.domain.observed import PREEMPTED, Job, JobSeen
from modelyard.domain.resource import Resource
from modelyard.operator.attempts import Attempt, read_attempt, record_attempt

MODULES = {"fetch": "artifacts", "train": "training", "evaluate": "evaluation", "ingest": "retrieval"}
RUN_ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


class RayJobs(Protocol):
    """The part of `ray.job_submission.JobSubmissionClient` that is used."""

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, Any], metadata: dict[str, str]) -> str:
        """Start a process on the Ray cluster."""

    def get_job_info(self, job_id: str) -> Any:
        """`.status`, `.message`. Raises RuntimeError for an unknown id."""

    def get_job_logs(self, job_id: str) -> str:
        """All output so far."""

    def stop_job(self, job_id: str) -> bool:
        """Ask a job to end."""


class LocalJobs:
    """The queue. All it knows is in the run folders, so it can be killed at any moment."""

    def __init__(self, runs_uri: str, store: ArtifactStore, ray: RayJobs, environment: Mapping[str, str]) -> None:
        """`environment`: variables for every job."""
        self.runs_uri, self.store, self.ray, self.environment = runs_uri, store, ray, dict(environment)
        self.filesystem, self.root = fsspec.core.url_to_fs(runs_uri)

    def run(self, name: str) -> RunFolder:
        """The folder of a job."""
        return RunFolder(f"{self.runs_uri}/{name}")

    def observe(self) -> Mapping[str, JobSeen]:
        """Every job there is, by name."""
        return {name: seen for name in self._names() if (seen := self._see(name)) is not None}

    def submit(self, name: str, job: Job, owner: Resource) -> None:
        """Queue a job, or queue it again after a failure."""
        run = self.run(name)
        attempt = read_attempt(run)
        if attempt is not None and not attempt.ended_at:
            return
        run.remove("failure.json")
        run.write("spec.json", json.dumps(job.wire()))
        former = attempt or Attempt(queued_at=0.0)
        record_attempt(run, Attempt(queued_at=time.time(), count=former.count, preemptions=former.preemptions))

    def advance(self, wanted: Set[str], held: Set[str] = frozenset()) -> None:
        """Stop and forget what nobody wants any more, unless it succeeded; start the one that has waited longest if none runs.

        What is held is stopped too, and keeps its run and its place in the queue.
        """
        attempts = {name: attempt for name in self._names() if (attempt := read_attempt(self.run(name))) is not None}
        running = {name: attempt for name, attempt in attempts.items() if attempt.submission_id and not attempt.ended_at}
        for name in attempts.keys() - wanted:
            if self.run(name).read("result.json") is None:
                self.remove(name)
        for name in running.keys() & held:
            self.ray.stop_job(running[name].submission_id)
            held_one = running[name]
            attempts[name] = Attempt(queued_at=held_one.queued_at, count=held_one.count, preemptions=held_one.preemptions + 1)
            record_attempt(self.run(name), attempts[name])
            del running[name]
        waiting = {name: a for name, a in attempts.items() if not a.submission_id and not a.ended_at and name in wanted - held}
        if waiting and not running:
            self._start(min(waiting, key=lambda name: waiting[name].queued_at))

    def remove(self, name: str) -> None:
        """Stop a job and forget its run."""
        attempt = read_attempt(self.run(name))
        if attempt is not None and attempt.submission_id and not attempt.ended_at:
            self.ray.stop_job(attempt.submission_id)
        if self.filesystem.exists(f"{self.root}/{name}"):
            self.filesystem.rm(f"{self.root}/{name}", recursive=True)

    def _names(self) -> list[str]:
        if not self.filesystem.exists(self.root):
            return []
        return sorted(Path(path).name for path in self.filesystem.ls(self.root, detail=False))

    def _see(self, name: str) -> JobSeen | None:
        run = self.run(name)
        attempt = read_attempt(run)
        if attempt is not None and attempt.submission_id and not attempt.ended_at:
            self._follow(run, attempt)
        seen = read_job(run)
        if seen is not None and seen.phase == "succeeded" and not self._still_there(run, seen.result):
            return None
        return seen

    def _still_there(self, run: RunFolder, result: str) -> bool:
        """Whether what a job made is still in the store; if somebody deleted it, it has to be made again."""
        if isinstance(run.read_spec(), FetchJob | TrainJob):
            return self.store.has(json.loads(result)["digest"])
        return True

    def _follow(self, run: RunFolder, attempt: Attempt) -> None:
        """Take over the end of a running job from Ray. A job that Ray has lost waits to be started again."""
        try:
            info = self.ray.get_job_info(attempt.submission_id)
        except RuntimeError as error:
            if "status code 404" not in str(error):
                raise UnavailableError(f"Ray does not tell about job {attempt.submission_id}: {error}", "it is asked again") from error
            if run.read("result.json") is None and run.read("failure.json") is None:
                attempt = Attempt(queued_at=attempt.queued_at, count=attempt.count, preemptions=attempt.preemptions)
            else:
                attempt.ended_at = time.time()
            record_attempt(run, attempt)
            return
        if str(getattr(info.status, "value", info.status)) not in RUN_ENDED:
            return
        log = self.ray.get_job_logs(attempt.submission_id)
        run.write("log.txt", log)
        attempt.ended_at, attempt.message = time.time(), _root_cause(log, str(info.message))
        failure = run.read_failure()
        if failure is not None and failure.preempted:
            attempt.preemptions, attempt.reason = attempt.preemptions + 1, PREEMPTED
        record_attempt(run, attempt)

    def _start(self, name: str) -> None:
        run = self.run(name)
        attempt = read_attempt(run)
        assert attempt is not None
        spec = run.read_spec()
        attempt.count += 1
        attempt.started_at = time.time()
        attempt.submission_id = f"{name}-{attempt.count}-{int(attempt.started_at)}"
        for document in ("failure.json", "result.json", "progress.json"):
            run.remove(document)
        record_attempt(run, attempt)
        self.ray.submit_job(
            entrypoint=f"exec {sys.executable} -u -m modelyard.{MODULES[spec.kind]} --run {run.uri}",
            submission_id=attempt.submission_id,
            runtime_env={"env_vars": self.environment},
            metadata={"modelyard_job": name},
        )


def read_job(run: RunFolder) -> JobSeen | None:
    """A job as its folder tells; None for a folder that the queue did not make."""
    attempt = read_attempt(run)
    if attempt is None:
        return None
    if not attempt.ended_at:
        running = bool(attempt.submission_id)
        return JobSeen("running" if running else "queued", progress=run.read_progress() if running else None, attempts=attempt.counted)
    result = run.read("result.json")
    if result is not None:
        return JobSeen("succeeded", result=result, attempts=attempt.counted)
    failure = run.read_failure()
    return JobSeen(
        phase="failed",
        message=failure.message if failure else attempt.message,
        retryable=failure.retryable if failure else True,
        reason=attempt.reason,
        attempts=attempt.counted,
        idle_s=time.time() - attempt.ended_at,
    )


def requeue(run: RunFolder) -> None:
    """Queue a failed job as if it had never been started; its checkpoints stay."""
    run.remove("failure.json")
    record_attempt(run, Attempt(queued_at=time.time()))


def _root_cause(log: str, message: str) -> str:
    """The last line that the job printed, else what Ray says."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else message
