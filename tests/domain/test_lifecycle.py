"""The plan, by named cases, in a world that does what it is told."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from modelyard.domain.evaluation import Evaluation, Score
from modelyard.domain.job import Attempt, EvaluateResult, FetchResult, IngestResult, TrainResult
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.lifecycle import inputs_of, plan
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
    RemoveIndex,
    RemoveResource,
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
    jobs: dict[str, JobSeen] = field(default_factory=dict)
    asked: list[Job] = field(default_factory=list)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    apps: dict[str, AppSeen] = field(default_factory=dict)
    answering: frozenset[str] = frozenset()
    model: Model | None = None
    capacity: dict[str, float] = field(default_factory=lambda: {"CPU": 2.0})
    now: str = "2026-01-01T00:00:00Z"
    removed: list[Step] = field(default_factory=list)

    def seen(self) -> Observed:
        digests = {uri: self.digests.get(uri, "d" * 64) for uri, _ in inputs_of(self.resource) if uri not in self.problems}
        return Observed(
            platform=Platform(store="file:///store", milvus_uri="http://127.0.0.1:1", capacity=self.capacity),
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
                return FetchResult(digest=BASE if job.role == "causal-lm" else EMBEDDING, weights_bytes=1).model_dump_json()
            case "train":
                return TrainResult(digest=self.adapter, steps=30, loss=0.1, tokens=100).model_dump_json()
            case "evaluate":
                scores = [score(self.scores[job.adapter_digest])]
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


def test_a_new_model_first_fetches_its_weights() -> None:
    world = World(model())
    assert kinds(world.step()) == ["fetch", "SetStatus"]
    assert world.resource.status.phase == "Fetching"
    assert world.plan().steps == ()


def test_after_the_fetch_the_base_is_scored_and_training_queued_in_one_pass() -> None:
    world = World(model())
    world.step()
    world.finish()
    assert kinds(world.step()) == ["CreateVersion", "evaluate", "train", "SetVersionStatus", "SetStatus"]
    assert world.plan().steps == ()


def test_the_whole_chain_ends_ready_and_then_asks_for_nothing() -> None:
    world = World(model())
    world.settle()
    status = world.resource.status
    assert status.phase == "Ready"
    assert [job.kind for job in world.asked] == ["fetch", "evaluate", "train", "evaluate"]
    assert status.served_names == sorted(["bot", "bot:base", f"bot:{status.version[-10:]}"])
    assert status.active_version == status.version
    assert world.versions[status.version].status.verdict.passed


@pytest.mark.parametrize(
    ("spec", "jobs"),
    [
        pytest.param({"fineTune": None, "evaluation": None, "serving": None}, ["fetch"], id="source alone is only fetched"),
        pytest.param({"fineTune": None, "evaluation": None}, ["fetch"], id="source and serving need no training"),
        pytest.param({"evaluation": None}, ["fetch", "train"], id="without an evaluation there is no gate"),
        pytest.param(
            {"fineTune": None, "evaluation": {"suites": [{"name": "records", "uri": "file:///s"}]}},
            ["fetch", "evaluate"],
            id="an untuned model is scored once",
        ),
    ],
)
def test_stages_that_are_not_asked_for_are_left_out(spec: dict[str, Any], jobs: list[str]) -> None:
    resource = model()
    document = resource.wire()
    document["spec"] = {key: value for key, value in (document["spec"] | spec).items() if value is not None}
    world = World(Model.model_validate(document))
    world.settle()
    assert [job.kind for job in world.asked] == jobs
    assert world.resource.status.phase == "Ready"


def test_a_version_that_misses_the_gate_is_not_served_and_says_why() -> None:
    world = World(model(), scores={"": 0.8, ADAPTER: 0.9})
    world.settle()
    assert world.resource.status.phase == "Rejected"
    assert world.resource.status.served_names == []
    assert world.plan().routes == () and world.plan().engines == ()
    assert reason(world.resource) == "GateRejected"
    message = world.resource.status.conditions[-1].message
    assert "records.field_score" in message and "0.25" in message


def test_a_rejected_version_leaves_the_last_good_one_serving() -> None:
    world = World(model())
    world.settle()
    good = world.resource.status.version
    world.digests = {"file:///train.jsonl": "f" * 64}
    world.adapter = "c" * 64
    world.scores["c" * 64] = 0.3
    world.settle()
    status = world.resource.status
    assert (status.phase, status.active_version) == ("Rejected", good)
    assert status.version != good
    assert {route.adapter for route in world.plan().routes} == {ADAPTER, ""}


def test_applying_an_old_spec_again_goes_back_to_its_version_without_any_job() -> None:
    first = model()
    world = World(first)
    world.settle()
    old = world.resource.status.version
    changed = first.spec.model_copy(update={"fine_tune": first.spec.fine_tune.model_copy(update={"max_failures": 1})})
    world.resource = world.resource.model_copy(update={"spec": changed})
    world.adapter = "c" * 64
    world.scores["c" * 64] = 0.95
    world.settle()
    assert world.resource.status.active_version != old
    asked = len(world.asked)
    world.resource = world.resource.model_copy(update={"spec": first.spec})
    world.settle()
    assert world.resource.status.active_version == old
    assert len(world.asked) == asked


def test_a_stricter_gate_takes_effect_without_any_job() -> None:
    world = World(model())
    world.settle()
    asked = len(world.asked)
    strict = world.resource.spec.evaluation.model_copy(
        update={"gate": [world.resource.spec.evaluation.gate[0].model_copy(update={"margin": 0.9})]}
    )
    world.resource = world.resource.model_copy(update={"spec": world.resource.spec.model_copy(update={"evaluation": strict})})
    world.settle()
    assert world.resource.status.phase == "Rejected"
    assert len(world.asked) == asked


def test_changed_held_out_rows_keep_the_version_serving_until_it_is_judged_anew() -> None:
    world = World(model())
    world.settle()
    world.digests = {"file:///heldout.jsonl": "9" * 64}
    wanted = world.step()
    assert kinds(wanted).count("evaluate") >= 1
    assert {route.name for route in wanted.routes} >= {"bot", "bot:base"}
    assert world.resource.status.active_version == world.resource.status.version


@pytest.mark.parametrize(
    ("failure", "phase", "again"),
    [
        pytest.param(JobSeen("failed", message="line 3 is broken", attempts=1), "Failed", False, id="bad input is not retried"),
        pytest.param(
            JobSeen("failed", message="worker died", retryable=True, attempts=1, idle_s=60), "Fetching", True, id="a crash is retried"
        ),
        pytest.param(
            JobSeen("failed", message="worker died", retryable=True, attempts=1, idle_s=1), "Fetching", False, id="not before its time"
        ),
        pytest.param(JobSeen("failed", message="worker died", retryable=True, attempts=3, idle_s=999), "Failed", False, id="not for ever"),
    ],
)
def test_failed_jobs(failure: JobSeen, phase: str, again: bool) -> None:
    world = World(model())
    world.step()
    world.jobs = {name: failure for name in world.jobs}
    wanted = world.step()
    assert world.resource.status.phase == phase
    assert ("fetch" in kinds(wanted)) is again
    assert failure.message in world.resource.status.conditions[-1].message or again


def test_a_missing_dataset_is_said_and_noticed_when_it_comes() -> None:
    world = World(model(), problems={"file:///train.jsonl": "file:///train.jsonl does not exist; correct the uri"})
    world.step()
    world.finish()
    world.step()
    assert world.resource.status.phase == "Failed"
    assert reason(world.resource) == "InputNotFound"
    assert world.plan().steps == ()
    world.problems = {}
    world.settle()
    assert world.resource.status.phase == "Ready"


def test_more_workers_than_cores_are_refused_with_both_numbers() -> None:
    world = World(model(fineTune={"dataset": {"uri": "file:///t"}, "workers": {"count": 4}, "hyperparameters": {"batchSize": 16}}))
    world.step()
    world.finish()
    world.step()
    assert reason(world.resource) == "Unschedulable"
    assert "4 CPU and there is 2" in world.resource.status.conditions[-1].message
    assert [job.kind for job in world.asked] == ["fetch"]


def test_a_suspended_model_starts_no_job_holds_its_own_and_goes_on_later() -> None:
    world = World(model())
    world.step()
    world.finish()
    world.step()
    running = {name for name, seen in world.jobs.items() if seen.phase == "queued"}
    world.resource = model(suspend=True).model_copy(update={"status": world.resource.status})
    held = world.step()
    assert held.held == running <= held.jobs
    assert "RunJob" not in kinds(held)
    assert reason(world.resource) == "Suspended"
    assert world.plan().steps == ()
    world.resource = model(suspend=False).model_copy(update={"status": world.resource.status})
    assert world.step().held == frozenset()
    assert reason(world.resource) == "Queued"


def test_progress_of_the_running_job_reaches_the_status() -> None:
    from modelyard.domain.resource import Progress

    world = World(model())
    world.step()
    running = JobSeen("running", progress=Progress(stage="downloading", percent=40.0))
    world.jobs = {name: running for name in world.jobs}
    world.step()
    assert world.resource.status.progress.percent == 40.0
    assert reason(world.resource) == "Running"


def test_the_transition_time_moves_only_with_the_condition() -> None:
    world = World(model())
    world.settle()
    since = {c.type: c.last_transition_time for c in world.resource.status.conditions}
    world.now = "2026-02-02T00:00:00Z"
    assert world.plan().steps == ()
    world.apps = {name: AppSeen("failed", "out of memory") for name in world.apps}
    world.step()
    after = {c.type: c.last_transition_time for c in world.resource.status.conditions}
    assert after["Serving"] == world.now and after["Fetched"] == since["Fetched"]
    assert "out of memory" in world.resource.status.conditions[-1].message


def test_old_versions_are_retired_but_never_the_active_one() -> None:
    world = World(model(retention={"keepVersions": 1}))
    world.settle()
    first = world.resource.status.version
    world.digests = {"file:///train.jsonl": "f" * 64}
    world.adapter, world.scores = "c" * 64, world.scores | {"c" * 64: 0.1}
    world.settle()
    assert set(world.versions) == {first, world.resource.status.version}
    world.digests = {"file:///train.jsonl": "8" * 64}
    world.adapter, world.scores = "7" * 64, world.scores | {"7" * 64: 0.99}
    world.settle()
    assert set(world.versions) == {world.resource.status.version}


def test_a_deleted_model_lets_go_of_everything() -> None:
    world = World(model())
    world.settle()
    gone = world.resource.metadata.model_copy(update={"deletion_timestamp": "2026-01-01T00:00:00Z"})
    world.resource = world.resource.model_copy(update={"metadata": gone})
    wanted = world.step()
    assert [type(step) for step in wanted.steps] == [DeleteVersion, RemoveResource]
    assert wanted.jobs == frozenset() and wanted.routes == ()


def test_a_knowledge_base_is_ingested_served_and_rebuilt_when_documents_change() -> None:
    world = World(knowledge_base())
    world.settle()
    status = world.resource.status
    assert (status.phase, status.documents, status.chunks) == ("Ready", 2, 9)
    assert [job.kind for job in world.asked] == ["fetch", "ingest"]
    world.digests = {"file:///docs": "5" * 64}
    wanted = world.step()
    assert kinds(wanted) == ["ingest", "SetStatus"]
    assert wanted.knowledge_bases, "readers keep the old index while the new one is built"
    world.settle()
    assert world.resource.status.collection != status.collection


def test_a_deleted_knowledge_base_takes_its_index_with_it() -> None:
    world = World(knowledge_base())
    world.settle()
    gone = world.resource.metadata.model_copy(update={"deletion_timestamp": "2026-01-01T00:00:00Z"})
    world.resource = world.resource.model_copy(update={"metadata": gone})
    assert [type(step) for step in world.plan().steps] == [RemoveIndex, RemoveResource]


def evaluation(**spec: Any) -> Evaluation:
    document = {"model": "bot", "suites": [{"name": "records", "uri": "file:///more.jsonl"}]} | spec
    return Evaluation.model_validate({"metadata": {"name": "weekly", "uid": "v", "generation": 1}, "spec": document})


def test_an_evaluation_waits_for_its_model() -> None:
    world = World(evaluation())
    world.step()
    assert reason(world.resource) == "ModelNotFound"
    assert world.plan().steps == ()


def test_an_evaluation_scores_the_version_that_answers_and_stays_with_it() -> None:
    tuned = World(model())
    tuned.settle()
    world = World(evaluation(gate=[{"metric": "records.field_score", "atLeast": 0.5}]), model=tuned.resource, versions=tuned.versions)
    world.settle()
    assert (world.resource.status.phase, world.resource.status.target) == ("Passed", tuned.resource.status.version)
    moved = replace_active(tuned.resource, "bot-0000000000")
    world.model = moved
    assert world.plan().steps == ()


def replace_active(resource: Model, name: str) -> Model:
    return resource.model_copy(update={"status": resource.status.model_copy(update={"active_version": name})})


def test_a_plan_is_pure_and_two_models_share_the_scores_of_their_base() -> None:
    world = World(model())
    world.settle()
    other = World(model(), jobs=dict(world.jobs))
    other.resource = other.resource.model_copy(update={"metadata": other.resource.metadata.model_copy(update={"name": "two"})})
    other.settle()
    assert [job.kind for job in other.asked] == ["train"]
    assert replace(other.seen()) == other.seen()
