"""Passes over real stored resources, in a world of fakes that does what it is told."""

import json
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.documents import parse_documents
from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.observed import AppSeen, Job, JobSeen, Plan, Platform
from modelyard.domain.resource import Resource
from modelyard.operator.local import local_place
from modelyard.operator.manifests import build_serve_config, wanted_names
from modelyard.operator.ports import ServingSeen
from modelyard.operator.reconcile import Reconciler
from modelyard.operator.store import ResourceStore

MANIFEST = """
apiVersion: modelyard.io/v1alpha1
kind: Model
metadata: {name: bot}
spec:
  source: {uri: "package://weights/w.gguf"}
  fineTune: {dataset: {uri: "file:///train.jsonl"}}
  evaluation:
    suites: [{name: records, uri: "file:///heldout.jsonl"}]
    gate: [{metric: records.field_score, betterThan: base, margin: 0.25}]
  serving: {}
---
apiVersion: modelyard.io/v1alpha1
kind: KnowledgeBase
metadata: {name: docs}
spec:
  sources: [{uri: "file:///docs"}]
"""


class FakeJobs:
    """Every job is done on the pass after it was asked for."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.done: set[str] = set()
        self.wanted: Set[str] = set()
        self.removed: list[str] = []
        self.tuned_score = 0.9

    def observe(self) -> Mapping[str, JobSeen]:
        seen = {n: JobSeen("succeeded", result=self.result(j)) if n in self.done else JobSeen("queued") for n, j in self.jobs.items()}
        self.done = set(self.jobs)
        return seen

    def result(self, job: Job) -> str:
        match job.kind:
            case "fetch":
                return json.dumps({"digest": job.role[0] * 64, "weightsBytes": 1})
            case "train":
                return json.dumps({"digest": "a" * 64, "steps": 1, "loss": 0.1, "tokens": 1})
            case "evaluate":
                value = self.tuned_score if job.adapter_digest else 0.1
                score = {"metric": "records.field_score", "value": value, "low": 0, "high": 1, "rows": 4}
                return json.dumps({"scores": [score], "attempts": [], "seconds": 1})
            case "ingest":
                return json.dumps({"collection": "c", "documents": 1, "chunks": 1})

    def submit(self, name: str, job: Job, owner: Resource) -> None:
        self.jobs[name] = job

    def advance(self, wanted: Set[str], held: Set[str] = frozenset()) -> None:
        self.wanted, self.held = wanted, held

    def remove(self, name: str) -> None:
        self.removed.append(name)


class FakeServing:
    """Deploys at once."""

    def __init__(self) -> None:
        self.configs: list[Mapping[str, Any]] = []
        self.away = False
        self.problems: dict[str, str] = {}

    def observe(self) -> ServingSeen:
        if not self.configs:
            return ServingSeen()
        config = self.configs[-1]
        apps = {app["name"]: AppSeen("running") for app in config["applications"]}
        return ServingSeen(apps=apps, answering=wanted_names(config) - self.problems.keys(), problems=self.problems)

    def apply(self, config: Mapping[str, Any]) -> None:
        if self.away:
            raise UnavailableError("Ray Serve did not take the config", "wait")
        self.configs.append(config)


class FakeInputs:
    """Every input is there, but for those named."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    def digest(self, uri: str, include: tuple[str, ...]) -> str:
        if uri in self.missing:
            raise NotFoundError(f"{uri} does not exist", "correct the uri")
        return "d" * 64


class FakeLeftovers:
    """Remembers what was removed."""

    def __init__(self) -> None:
        self.indexes: list[str] = []
        self.artifacts: list[str] = []
        self.away = False

    def remove_index(self, alias: str) -> None:
        if self.away:
            raise UnavailableError("Milvus does not answer", "it is tried again")
        self.indexes.append(alias)

    def remove_artifact(self, digest: str) -> None:
        if self.away:
            raise OSError("the store does not answer")
        self.artifacts.append(digest)


@pytest.fixture
def reconciler(tmp_path: Path) -> Iterator[Reconciler]:
    store = ResourceStore(tmp_path / "platform.db")
    for resource in parse_documents(MANIFEST, "test.yaml"):
        store.apply(resource)

    def build_config(plans: list[Plan]) -> dict[str, Any]:
        return build_serve_config(plans, local_place("file:///store", "http://127.0.0.1:1", 8000, 2))

    yield Reconciler(
        resources=store,
        jobs=FakeJobs(),
        serving=FakeServing(),
        inputs=FakeInputs(),
        leftovers=FakeLeftovers(),
        platform=Platform(store="file:///store", milvus_uri="http://127.0.0.1:1", capacity={"CPU": 2}),
        build_config=build_config,
        now=lambda: "2026-01-01T00:00:00Z",
    )
    store.close()


def settle(reconciler: Reconciler, passes: int = 12) -> None:
    for _ in range(passes):
        reconciler.pass_once()


def model(reconciler: Reconciler) -> Model:
    found = reconciler.resources.get("Model", "default", "bot")
    assert isinstance(found, Model)
    return found


def reasons(reconciler: Reconciler, kind: str = "Model", name: str = "bot") -> list[str]:
    return [event.reason for event in reconciler.resources.events((kind, "default", name))]


def test_both_resources_become_ready_and_then_nothing_is_written(reconciler: Reconciler) -> None:
    settle(reconciler)
    assert model(reconciler).status.phase == "Ready"
    assert reconciler.resources.get("KnowledgeBase", "default", "docs").status.phase == "Ready"  # type: ignore[attr-defined]
    revision, configs = reconciler.resources.revision(), len(reconciler.serving.configs)  # type: ignore[attr-defined]
    settle(reconciler, 3)
    assert reconciler.resources.revision() == revision
    assert len(reconciler.serving.configs) == configs  # type: ignore[attr-defined]


def test_what_is_served_stays_as_it_is_while_its_profile_is_not_there(reconciler: Reconciler) -> None:
    settle(reconciler)
    configs = len(reconciler.serving.configs)  # type: ignore[attr-defined]

    def refuse(plans: list[Plan]) -> dict[str, Any]:
        raise InvalidInputError("there is no profile 'gone' on this cluster", "there is cpu")

    reconciler.build_config = refuse
    settle(reconciler, 2)
    assert len(reconciler.serving.configs) == configs  # type: ignore[attr-defined]
    assert model(reconciler).status.phase == "Ready"


def test_the_version_belongs_to_its_model_and_holds_scores_and_lineage(reconciler: Reconciler) -> None:
    settle(reconciler)
    (version,) = reconciler.resources.list("ModelVersion")
    assert isinstance(version, ModelVersion)
    assert version.metadata.owner_references[0].uid == model(reconciler).metadata.uid
    assert (version.status.phase, version.spec.revision, version.spec.dataset_digest) == ("Passed", 1, "d" * 64)


def test_events_tell_the_story_once(reconciler: Reconciler) -> None:
    settle(reconciler)
    told = reasons(reconciler)
    for reason in ("JobQueued", "Fetched", "VersionCreated", "Trained", "GatePassed", "Answering"):
        assert reason in told
    count = len(told)
    settle(reconciler, 3)
    assert len(reasons(reconciler)) == count


def test_one_missing_dataset_does_not_stop_the_other_resource(reconciler: Reconciler) -> None:
    reconciler.inputs.missing = {"file:///train.jsonl"}  # type: ignore[attr-defined]
    settle(reconciler)
    assert model(reconciler).status.phase == "Failed"
    assert "does not exist; correct the uri" in model(reconciler).status.conditions[-1].message
    assert "InputNotFound" in reasons(reconciler)
    assert reconciler.resources.get("KnowledgeBase", "default", "docs").status.phase == "Ready"  # type: ignore[attr-defined]


def test_a_rejected_model_has_no_route(reconciler: Reconciler) -> None:
    reconciler.jobs.tuned_score = 0.2  # type: ignore[attr-defined]
    settle(reconciler)
    assert model(reconciler).status.phase == "Rejected"
    gateway = reconciler.serving.configs[-1]["applications"][0]["deployments"][0]["user_config"]  # type: ignore[attr-defined]
    assert gateway["routes"] == []
    assert "GateRejected" in reasons(reconciler)


def test_a_serve_config_that_was_not_taken_is_sent_again(reconciler: Reconciler) -> None:
    reconciler.serving.away = True  # type: ignore[attr-defined]
    settle(reconciler, 3)
    assert reconciler.serving.configs == []  # type: ignore[attr-defined]
    reconciler.serving.away = False  # type: ignore[attr-defined]
    settle(reconciler)
    assert model(reconciler).status.phase == "Ready"


def test_a_ray_serve_that_was_restarted_gets_the_config_again(reconciler: Reconciler) -> None:
    settle(reconciler)
    configs = reconciler.serving.configs  # type: ignore[attr-defined]
    last = configs[-1]
    configs.clear()
    settle(reconciler, 3)
    assert configs == [last]


def test_an_adapter_that_the_engine_refuses_is_told_with_its_cause(reconciler: Reconciler) -> None:
    reconciler.serving.problems = {"bot": "adapter aaaa is an adapter for another base"}  # type: ignore[attr-defined]
    settle(reconciler)
    assert model(reconciler).status.phase == "Failed"
    assert "another base" in model(reconciler).status.conditions[-1].message
    assert "bot" not in model(reconciler).status.served_names
    assert "AdapterNotLoaded" in reasons(reconciler)
    reconciler.serving.problems = {}  # type: ignore[attr-defined]
    settle(reconciler, 2)
    assert model(reconciler).status.phase == "Ready"


def test_a_deleted_model_takes_its_version_run_and_adapter_with_it(reconciler: Reconciler) -> None:
    settle(reconciler)
    reconciler.resources.request_deletion(("Model", "default", "bot"))
    reconciler.pass_once()
    assert [resource.kind for resource in reconciler.resources.list()] == ["KnowledgeBase"]
    assert reconciler.leftovers.artifacts == ["a" * 64]  # type: ignore[attr-defined]
    assert [name.partition("-")[0] for name in reconciler.jobs.removed] == ["train"]  # type: ignore[attr-defined]
    settle(reconciler, 2)
    assert [app["name"] for app in reconciler.serving.configs[-1]["applications"]] == ["gateway", "retrieval"]  # type: ignore[attr-defined]


def test_what_a_version_made_is_gone_before_the_version(reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(reconciler)
    remove = reconciler.resources.remove

    def end_after_it_acted(key: tuple[str, str, str]) -> None:
        remove(key)
        raise ConnectionError("cut after it acted")

    monkeypatch.setattr(reconciler.resources, "remove", end_after_it_acted)
    reconciler.resources.request_deletion(("Model", "default", "bot"))  # type: ignore[attr-defined]
    with pytest.raises(ConnectionError):
        reconciler.pass_once()
    assert list(reconciler.resources.versions(None, None)) == []
    assert reconciler.leftovers.artifacts == ["a" * 64]  # type: ignore[attr-defined]
    assert [name.partition("-")[0] for name in reconciler.jobs.removed] == ["train"]  # type: ignore[attr-defined]


def test_a_version_stays_until_what_it_made_is_gone_but_not_for_ever(reconciler: Reconciler) -> None:
    settle(reconciler)
    reconciler.leftovers.away = True  # type: ignore[attr-defined]
    reconciler.patience = timedelta(minutes=10)
    reconciler.resources.request_deletion(("Model", "default", "bot"))  # type: ignore[attr-defined]
    asked = datetime.now(UTC)
    reconciler.now = lambda: (asked + timedelta(minutes=9)).isoformat()
    settle(reconciler, 2)
    assert len(list(reconciler.resources.versions(None, None))) == 1
    assert "DeleteVersion" in reasons(reconciler)
    reconciler.now = lambda: (asked + timedelta(minutes=11)).isoformat()
    settle(reconciler, 2)
    assert reconciler.resources.find("Model", "default", "bot") is None
    assert list(reconciler.resources.versions(None, None)) == []


def test_a_knowledge_base_stays_until_its_index_is_gone(reconciler: Reconciler) -> None:
    settle(reconciler)
    reconciler.leftovers.away = True  # type: ignore[attr-defined]
    reconciler.resources.request_deletion(("KnowledgeBase", "default", "docs"))
    settle(reconciler, 2)
    assert reconciler.resources.find("KnowledgeBase", "default", "docs") is not None
    assert "RemoveIndex" in reasons(reconciler, "KnowledgeBase", "docs")
    reconciler.leftovers.away = False  # type: ignore[attr-defined]
    reconciler.pass_once()
    assert reconciler.resources.find("KnowledgeBase", "default", "docs") is None


def test_where_there_is_a_limit_a_clean_up_that_cannot_be_done_does_not_hold_a_resource_for_ever(reconciler: Reconciler) -> None:
    settle(reconciler)
    reconciler.leftovers.away = True  # type: ignore[attr-defined]
    reconciler.patience = timedelta(minutes=10)
    reconciler.resources.request_deletion(("KnowledgeBase", "default", "docs"))  # type: ignore[attr-defined]
    asked = datetime.now(UTC)
    reconciler.now = lambda: (asked + timedelta(minutes=9)).isoformat()
    reconciler.pass_once()
    assert reconciler.resources.find("KnowledgeBase", "default", "docs") is not None
    reconciler.now = lambda: (asked + timedelta(minutes=11)).isoformat()
    reconciler.pass_once()
    assert reconciler.resources.find("KnowledgeBase", "default", "docs") is None


def test_nothing_is_settled_before_every_resource_was_planned_once(reconciler: Reconciler) -> None:
    reconciler.reconcile(("Model", "default", "bot"))
    reconciler.jobs.wanted = {"untouched"}  # type: ignore[attr-defined]
    reconciler.settle(ServingSeen())
    assert reconciler.jobs.wanted == {"untouched"}  # type: ignore[attr-defined]
    reconciler.reconcile(("KnowledgeBase", "default", "docs"))
    reconciler.settle(ServingSeen())
    assert reconciler.jobs.wanted != {"untouched"}  # type: ignore[attr-defined]


def test_only_jobs_that_some_resource_stands_on_are_wanted(reconciler: Reconciler) -> None:
    settle(reconciler)
    assert {name.partition("-")[0] for name in reconciler.jobs.wanted} == {"fetch", "train", "evaluate", "ingest"}  # type: ignore[attr-defined]
    for kind, name in (("Model", "bot"), ("KnowledgeBase", "docs")):
        reconciler.resources.request_deletion((kind, "default", name))
    settle(reconciler, 2)
    assert reconciler.jobs.wanted == frozenset()  # type: ignore[attr-defined]
