"""The bookkeeping that every plan shares: jobs to run, conditions to state. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from modelyard.domain.job import FetchJob, FetchResult
from modelyard.domain.model import Source
from modelyard.domain.names import job_name
from modelyard.domain.observed import PREEMPTED, Job, JobSeen, Observed, RunJob, Step
from modelyard.domain.resource import Condition, Progress

MAX_ATTEMPTS = 3
FIRST_BACKOFF_S = 5.0

ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass
class Draft:
    """A plan in the making. Stages add to it until one has to wait."""

    seen: Observed
    generation: int
    former: list[Condition]
    """The conditions that the resource has now."""
    suspended: bool = False
    """No job may start, and those that run are held."""
    steps: list[Step] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    conditions: list[Condition] = field(default_factory=list)
    phase: str = "Pending"
    progress: Progress | None = None
    job: str = ""

    @property
    def waiting(self) -> bool:
        """Whether something of this chain already waits."""
        return any(condition.type == "Ready" for condition in self.conditions)

    def state(self, kind: str, status: ConditionStatus, reason: str, message: str = "") -> None:
        """State one condition; its transition time moves only when its status does."""
        before = next((condition for condition in self.former if condition.type == kind), None)
        since = before.last_transition_time if before and before.status == status else self.seen.now
        self.conditions.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                observed_generation=self.generation,
                last_transition_time=since,
            )
        )

    def wait(self, kind: str, phase: str, reason: str, message: str) -> None:
        """Say that the chain waits at this stage for something that will come."""
        self.phase = phase
        self.state(kind, "False", reason, message)
        self.state("Ready", "False", reason, message)

    def wait_for_app(self, name: str) -> None:
        """Say that a Serve application is on its way, or what is in its way."""
        obstacle = self.seen.serving_obstacle
        if obstacle is None:
            self.wait("Serving", "Deploying", "Deploying", f"Serve application {name} is starting")
        else:
            self.wait("Serving", "Deploying", obstacle.reason, obstacle.message)

    def fail(self, kind: str, reason: str, message: str) -> None:
        """Say that the chain stops at this stage until the user changes something."""
        self.wait(kind, "Failed", reason, message)

    def digest(self, kind: str, uri: str) -> str | None:
        """The digest of an input, or None after stating why there is none."""
        if uri in self.seen.problems:
            self.fail(kind, "InputNotFound", self.seen.problems[uri])
            return None
        return self.seen.digests[uri]

    def digests(self, kind: str, inputs: Mapping[str, str]) -> dict[str, str] | None:
        """The digests of named inputs (name → URI), or None after stating which one is missing."""
        found = {name: self.digest(kind, uri) for name, uri in inputs.items() if not self.waiting}
        return None if self.waiting else {name: digest for name, digest in found.items() if digest is not None}

    def run(self, job: Job, kind: str, phase: str, max_attempts: int = MAX_ATTEMPTS) -> str | None:
        """The result of a job (JSON), or None after asking for it or stating what it waits for."""
        seen, name = self.ask(job, max_attempts), job_name(job)
        if seen.phase == "succeeded":
            return seen.result
        if self.waiting:
            return None  # an earlier job of this chain is what people are told about
        self.job = name
        if seen.phase == "failed":
            if seen.reason == PREEMPTED:
                self.wait(kind, phase, PREEMPTED, seen.message)
            elif seen.retryable and seen.attempts < max_attempts:
                self.wait(kind, phase, "Retrying", f"attempt {seen.attempts} of {max_attempts} failed: {seen.message}")
            else:
                self.fail(kind, seen.reason or "JobFailed", seen.message)
        elif seen.phase == "running":
            self.progress = seen.progress
            self.wait(kind, phase, "Running", f"job {name} is running")
        else:
            self.wait(kind, phase, seen.reason or "Queued", seen.message or f"job {name} waits for its turn")
        return None

    def ask(self, job: Job, max_attempts: int = MAX_ATTEMPTS) -> JobSeen:
        """A job as it is once this plan is carried out: asked for if it is missing, or failed and may be tried again."""
        name = job_name(job)
        self.jobs.add(name)
        seen = self.seen.jobs.get(name)
        if self.suspended and (seen is None or seen.phase != "succeeded"):
            self.held.add(name)
            return JobSeen("queued", message="held by spec.suspend; set it to false to go on", reason="Suspended")
        if seen is None or _may_retry(seen, max_attempts):
            if RunJob(job) not in self.steps:
                self.steps.append(RunJob(job))
            return JobSeen(phase="queued", attempts=seen.attempts if seen else 0)
        return seen

    def fetch(self, source: Source, role: Literal["causal-lm", "embedding"], kind: str) -> FetchResult | None:
        """The fetched weights, or None while they are on their way."""
        job = FetchJob(store=self.seen.platform.store, source=source, role=role)
        document = self.run(job, kind, "Fetching")
        if document is None:
            return None
        result = FetchResult.model_validate_json(document)
        self.state(kind, "True", "Fetched", f"{source.uri} is artifact {result.digest[:12]}")
        return result


def _may_retry(job: JobSeen, max_attempts: int) -> bool:
    backoff_s = FIRST_BACKOFF_S * 2 ** (job.attempts - 1)
    left = job.attempts < max_attempts or job.reason == PREEMPTED
    return job.phase == "failed" and job.retryable and left and job.idle_s >= backoff_s
