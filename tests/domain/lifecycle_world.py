"""A world that does what plans ask, and what may live in it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from modelyard.domain.architecture import Architecture
from modelyard.domain.evaluation import Score
from modelyard.domain.job import Attempt, EvaluateResult, FetchResult, IngestResult, TrainResult
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.lifecycle import inputs_of, plan
from modelyard.domain.machine import Machines
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.names import job_name
from modelyard.domain.observed import (
    AppSeen,
    CreateVersion,
    DeleteVersion,
    Job,
    JobSeen,
    Observed,
    Plan,
    Platform,
    RunJob,
    SetStatus,
    SetVersionStatus,
    Step,
)
from modelyard.domain.resource import Metadata, Resource

BASE, ADAPTER, EMBEDDING = "b" * 64, "a" * 64, "e" * 64


def score(value: float) -> Score:
    return Score(metric="records.field_score", value=value, low=value - 0.1, high=value + 0.1, rows=40)


@dataclass
class World:
    """Does what plans ask; jobs end as soon as `finish` is called."""

    resource: Any
    scores: dict[str, float] = field(default_factory=lambda: {"": 0.2, ADAPTER: 0.9})
    adapter: str = ADAPTER
    trained_kind: Literal["adapter", "causal-lm"] = "adapter"
    """Whether training gives an adapter, or whole weights under the same digest."""
    jobs: dict[str, JobSeen] = field(default_factory=dict)
    asked: list[Job] = field(default_factory=list)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    apps: dict[str, AppSeen] = field(default_factory=dict)
    answering: frozenset[str] = frozenset()
    model: Model | None = None
    capacity: dict[str, float] = field(default_factory=lambda: {"CPU": 2.0})
    machines: Machines = Machines()
    architecture: Architecture | None = None
    """What a fetch tells of the base."""
    now: str = "2026-01-01T00:00:00Z"
    removed: list[Step] = field(default_factory=list)

    def seen(self) -> Observed:
        digests = {uri: self.digests.get(uri, "d" * 64) for uri, _ in inputs_of(self.resource) if uri not in self.problems}
        return Observed(
            platform=Platform(store="file:///store", milvus_uri="http://127.0.0.1:1", capacity=self.capacity, machines=self.machines),
            now=self.now,
            jobs=self.jobs,
            digests=digests,
            problems=self.problems,
            apps=self.apps,
            answering=self.answering,
            versions=tuple(self.versions.values()),
            model=self.model,
        )

    def plan(self) -> Plan:
        return plan(self.resource, self.seen())

    def step(self) -> Plan:
        """One pass; returns its plan."""
        wanted = self.plan()
        for step in wanted.steps:
            self.carry_out(step)
        return wanted

    def carry_out(self, step: Step) -> None:
        match step:
            case RunJob(job):
                self.asked.append(job)
                self.jobs[job_name(job)] = JobSeen(phase="queued")
            case CreateVersion(name, spec):
                self.versions[name] = ModelVersion(metadata=Metadata(name=name), spec=spec)
            case SetVersionStatus(name, status):
                self.versions[name] = self.versions[name].model_copy(update={"status": status})
            case DeleteVersion(name):
                self.versions.pop(name)
                self.removed.append(step)
            case SetStatus(status):
                self.resource = self.resource.model_copy(update={"status": status})
            case _:
                self.removed.append(step)

    def finish(self) -> None:
        """End every open job well."""
        for job in self.asked:
            name = job_name(job)
            if self.jobs.get(name) and self.jobs[name].phase in {"queued", "running"}:
                self.jobs[name] = JobSeen(phase="succeeded", result=self.result_of(job))

    def result_of(self, job: Job) -> str:
        match job.kind:
            case "fetch":
                digest = BASE if job.role == "causal-lm" else EMBEDDING
                return FetchResult(digest=digest, weights_bytes=1, architecture=self.architecture).model_dump_json()
            case "train":
                return TrainResult(digest=self.adapter, kind=self.trained_kind, steps=30, loss=0.1, tokens=100).model_dump_json()
            case "evaluate":
                scores = [score(self.scores[job.base_digest if job.tuned else job.adapter_digest])]
                attempts = [Attempt(suite="records", shots=0, scores=scores)]
                return EvaluateResult(scores=scores, attempts=attempts, seconds=1.0).model_dump_json()
            case "ingest":
                return IngestResult(collection=job.collection, documents=2, chunks=9).model_dump_json()

    def serve(self, wanted: Plan) -> None:
        """Deploy what a plan wants served."""
        names = ["gateway", "retrieval", *(engine.name for engine in wanted.engines)]
        self.apps = {name: AppSeen(phase="running") for name in names}
        self.answering = frozenset([*(r.name for r in wanted.routes), *(b.name for b in wanted.knowledge_bases)])

    def settle(self, passes: int = 12) -> None:
        """Pass, finish jobs and serve until nothing is asked for."""
        for _ in range(passes):
            wanted = self.step()
            self.finish()
            self.serve(wanted)
        assert self.plan().steps == ()


def model(**spec: Any) -> Model:
    document = {
        "metadata": {"name": "bot", "uid": "u", "generation": 1},
        "spec": {
            "source": {"uri": "package://weights/w.gguf"},
            "fineTune": {"dataset": {"uri": "file:///train.jsonl"}},
            "evaluation": {
                "suites": [{"name": "records", "uri": "file:///heldout.jsonl"}],
                "gate": [{"metric": "records.field_score", "betterThan": "base", "margin": 0.25}],
            },
            "serving": {},
        }
        | spec,
    }
    return Model.model_validate({key: value for key, value in document.items() if value is not None})


def knowledge_base() -> KnowledgeBase:
    return KnowledgeBase.model_validate(
        {"metadata": {"name": "docs", "uid": "u", "generation": 1}, "spec": {"sources": [{"uri": "file:///docs"}]}}
    )


def kinds(wanted: Plan) -> list[str]:
    return [step.job.kind if isinstance(step, RunJob) else type(step).__name__ for step in wanted.steps]


def reason(resource: Resource, kind: str = "Ready") -> str:
    return next(condition.reason for condition in resource.status.conditions if condition.type == kind)  # type: ignore[attr-defined]
