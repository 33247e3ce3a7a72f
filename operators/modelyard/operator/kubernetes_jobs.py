"""The jobs of one namespace as RayJobs, each with a run folder that outlives it.

The folder tells progress, result and failure; the RayJob tells whether it is queued, running, or ended without a word.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import datetime
from typing import Any

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.observed import PREEMPTED, Job, JobSeen
from modelyard.domain.resource import Resource
from modelyard.operator.attempts import Attempt, read_attempt, record_attempt
from modelyard.operator.causes import Cause
from modelyard.operator.kubernetes import Api, RefusedError
from modelyard.operator.labels import ATTEMPT_ANNOTATION, JOB_LABEL, QUEUE_LABEL
from modelyard.operator.watch_cache import WatchCache

Document = Mapping[str, Any]

REFUSED_PAUSE_S = 15.0
GRACE_S = 2.0
"""How long nobody must want a job before it is ended: a plan that wants it may just be late."""
FAILED = {"Failed", "ValidationFailed"}
STARTED = {"Running", "Retrying"}
SUSPENDED = {"Suspended", "Suspending"}


class KubernetesJobs(Mapping[str, JobSeen]):
    """A mapping that looks a job up when it is asked for: to list every run there ever was would cost a request each."""

    def __init__(
        self,
        api: Api,
        cache: WatchCache,
        namespace: str,
        runs_uri: str,
        build: Callable[[str, Job, Resource, int], dict[str, Any]],
        find_cause: Callable[[Document], Cause | None],
        clock: Callable[[], float],
        keep_s: float,
    ) -> None:
        """build: (name, job, owner, attempt) → RayJob. find_cause: why a RayJob does not run, or ended without a word.

        clock: Unix seconds; what an attempt remembers is read by other operators. keep_s: how long a RayJob that succeeded stays.
        """
        self._clock, self._keep_s = clock, keep_s
        self.api, self.cache, self.namespace, self.runs_uri = api, cache, namespace, runs_uri
        self._build, self._find_cause = build, find_cause
        self._done: dict[str, JobSeen] = {}
        """Succeeded jobs: what a run folder says then is its last word."""
        self._unwanted: dict[str, float] = {}
        """Jobs that no plan wants, and since when."""
        self._refused: dict[str, tuple[float, str]] = {}
        """Jobs whose RayJob the API server did not take: when to try again, and its words."""
        self.has_succeeded = False
        """Whether a RayJob is there that succeeded, and that goes after a while."""

    def observe(self) -> Mapping[str, JobSeen]:
        """Every job, by name."""
        return self

    def submit(self, name: str, job: Job, owner: Resource) -> None:
        """Start a job, or start it again after a failure; one that has not ended is only put back as it should be.

        The RayJob of an earlier attempt has to be gone first: that is asked for here, and the job is planned anew then.
        """
        run = self.run(name)
        attempt = read_attempt(run)
        if attempt is None or attempt.ended_at:
            # Never result.json: if another operator works at the same time, the job may have ended meanwhile.
            for document in ("failure.json", "progress.json") if attempt else ():
                run.remove(document)
            former_one = attempt or Attempt(queued_at=0.0)
            attempt = Attempt(queued_at=self._clock(), count=former_one.count + 1, preemptions=former_one.preemptions)
            run.write("spec.json", json.dumps(job.wire()))
            record_attempt(run, attempt)
        self._done.pop(name, None)
        former = self.cache.get("RayJob", self.namespace, name)
        if former is not None and _attempt_of(former) != attempt.count:
            self.api.delete("RayJob", self.namespace, name, uid=former["metadata"]["uid"])
            return
        try:
            self.cache.put(self.api.apply(self._build(name, job, owner, attempt.count)))
            self._refused.pop(name, None)
        except RefusedError as error:
            self._refused[name] = (time.monotonic() + REFUSED_PAUSE_S, str(error))

    def advance(self, wanted: Set[str], held: Set[str] = frozenset()) -> None:
        """End the jobs that nobody wants any more, suspend those that are held, and let go on what was held.

        KubeRay ends the pods of a job that succeeded, and leaves its RayJob for ever: that goes here, and its run folder stays.
        """
        documents = self.cache.list("RayJob", self.namespace, _is_ours)
        self.has_succeeded = any(map(_has_succeeded, documents))
        there = {document["metadata"]["name"] for document in documents}
        self._unwanted = {name: since for name, since in self._unwanted.items() if name in there}
        for document in documents:
            name = document["metadata"]["name"]
            if document["metadata"].get("deletionTimestamp"):
                continue
            if _has_succeeded(document):
                if self._is_over(document):
                    self.api.delete("RayJob", self.namespace, name, uid=document["metadata"]["uid"])
                continue
            if name not in wanted:
                if time.monotonic() - self._unwanted.setdefault(name, time.monotonic()) >= GRACE_S:
                    self.remove(name)
                continue
            self._unwanted.pop(name, None)
            if name in held and not document["spec"].get("suspend"):
                # Out of Kueue's queue as well, which would start it again.
                self._patch(document, {"spec": {"suspend": True}, "metadata": {"labels": {QUEUE_LABEL: None}}})
            elif name not in held and document["spec"].get("suspend") and QUEUE_LABEL not in document["metadata"]["labels"]:
                # Made anew, since Kueue takes no job back into a queue; it goes on from its checkpoints.
                self.api.delete("RayJob", self.namespace, name, uid=document["metadata"]["uid"])

    @property
    def has_leftovers(self) -> bool:
        """Whether a job is there that nobody wants, and that goes a moment later."""
        return bool(self._unwanted)

    def remove(self, name: str) -> None:
        """Stop a job and forget its run."""
        self._unwanted.pop(name, None)
        document = self.cache.get("RayJob", self.namespace, name)
        if document is not None:
            self.api.delete("RayJob", self.namespace, name, uid=document["metadata"]["uid"])
        run = self.run(name)
        if run.filesystem.exists(run.path):
            run.filesystem.rm(run.path, recursive=True)
        self._done.pop(name, None)

    def run(self, name: str) -> RunFolder:
        """The folder of a job."""
        return RunFolder(f"{self.runs_uri}/{self.namespace}/{name}")

    def __getitem__(self, name: str) -> JobSeen:
        seen = self._done.get(name) or self._see(name)
        if seen is None:
            raise KeyError(name)
        return seen

    def __iter__(self) -> Iterator[str]:
        return iter([document["metadata"]["name"] for document in self.cache.list("RayJob", self.namespace)])

    def __len__(self) -> int:
        return len(self.cache.list("RayJob", self.namespace))

    def _patch(self, document: Document, changes: dict[str, Any]) -> None:
        changed = self.api.patch("RayJob", self.namespace, document["metadata"]["name"], changes)
        if changed is not None:
            self.cache.put(changed)

    def _is_over(self, document: Document) -> bool:
        """Whether a RayJob that succeeded has nothing to tell any more: its result is on record, and its time has passed."""
        ended, seen = document["status"].get("endTime"), self.get(document["metadata"]["name"])
        if not ended or seen is None or seen.phase != "succeeded":
            return False
        return self._clock() - datetime.fromisoformat(ended).timestamp() >= self._keep_s

    def _see(self, name: str) -> JobSeen | None:
        document = self.cache.get("RayJob", self.namespace, name)
        if document is not None and document["metadata"].get("deletionTimestamp"):
            return JobSeen("queued", message=f"an earlier job {name} is still being removed")
        run = self.run(name)
        attempt = read_attempt(run)
        if attempt is None:
            return None
        result = run.read("result.json")
        if result is not None:
            self._done[name] = seen = JobSeen("succeeded", result=result, attempts=attempt.counted)
            return seen
        if attempt.ended_at > self._clock():  # by a clock that was ahead; or else the wait would last until this one is there
            attempt.ended_at = self._clock()
            record_attempt(run, attempt)
        if attempt.ended_at:
            return self._failed(attempt)
        until, words = self._refused.get(name, (0.0, ""))
        if document is None and time.monotonic() < until:
            return JobSeen("queued", message=words, reason="JobRefused", attempts=attempt.counted)
        if document is None or _attempt_of(document) != attempt.count:
            return None  # deleted by somebody, or never made: it has to be started
        return self._see_unfinished(run, attempt, document)

    def _see_unfinished(self, run: RunFolder, attempt: Attempt, document: Document) -> JobSeen:
        status = document.get("status") or {}
        phase = status.get("jobDeploymentStatus") or ""
        if phase in FAILED or (phase == "Complete" and status.get("jobStatus") != "RUNNING"):
            return self._take_over_failure(run, attempt, document)
        if phase in STARTED and status.get("jobStatus") == "RUNNING":
            return JobSeen("running", progress=run.read_progress(), attempts=attempt.counted)
        if phase in SUSPENDED:
            return JobSeen("queued", message="the job is suspended", reason="Suspended", attempts=attempt.counted)
        cause = self._find_cause(document)
        return JobSeen("queued", message=cause.message if cause else "", reason=cause.reason if cause else "", attempts=attempt.counted)

    def _take_over_failure(self, run: RunFolder, attempt: Attempt, document: Document) -> JobSeen:
        failure = run.read_failure()
        if failure is not None:
            attempt.preemptions += failure.preempted
            reason = PREEMPTED if failure.preempted else ""
            return self._record_failure(run, attempt, reason, failure.message, retryable=failure.retryable)
        cause = self._find_cause(document)
        if cause is not None:
            return self._record_failure(run, attempt, cause.reason, cause.message, retryable=cause.retryable)
        status = document.get("status") or {}
        words = " ".join(str(status.get(field) or "") for field in ("reason", "message")).strip()
        return self._record_failure(run, attempt, "", f"the job ended without a result: {words or 'no reason given'}", retryable=True)

    def _record_failure(self, run: RunFolder, attempt: Attempt, reason: str, message: str, *, retryable: bool) -> JobSeen:
        attempt.ended_at, attempt.reason, attempt.message, attempt.retryable = self._clock(), reason, message, retryable
        record_attempt(run, attempt)
        return self._failed(attempt)

    def _failed(self, attempt: Attempt) -> JobSeen:
        return JobSeen(
            "failed",
            message=attempt.message,
            reason=attempt.reason,
            retryable=attempt.retryable,
            attempts=attempt.counted,
            idle_s=self._clock() - attempt.ended_at,
        )


def _is_ours(document: Document) -> bool:
    """A namespace may have RayJobs of its own, which nobody here may end."""
    return JOB_LABEL in (document["metadata"].get("labels") or {})


def _attempt_of(document: Document) -> int:
    return int((document["metadata"].get("annotations") or {}).get(ATTEMPT_ANNOTATION, 0))


def _has_succeeded(document: Document) -> bool:
    return (document.get("status") or {}).get("jobStatus") == "SUCCEEDED"
