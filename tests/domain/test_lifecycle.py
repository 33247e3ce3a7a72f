"""The plan of a Model by named cases, in a world that does what it is told."""

from dataclasses import replace
from typing import Any

import pytest
from tests.domain.lifecycle_world import ADAPTER, World, kinds, model, reason

from modelyard.domain.model import Model
from modelyard.domain.observed import (
    AppSeen,
    DeleteVersion,
    JobSeen,
    RemoveResource,
)


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
    world = World(model(retrain="on-change"))
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
        pytest.param(
            JobSeen("failed", message="preempted", reason="Preempted", retryable=True, attempts=0, idle_s=60),
            "Fetching",
            True,
            id="a job that was taken away goes on",
        ),
        pytest.param(
            JobSeen("failed", message="preempted", reason="Preempted", retryable=True, attempts=2, idle_s=1),
            "Fetching",
            False,
            id="a job that was taken away waits a moment too",
        ),
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
    world = World(model(retention={"keepVersions": 1}, retrain="on-change"))
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


def test_a_plan_is_pure_and_two_models_share_the_scores_of_their_base() -> None:
    world = World(model())
    world.settle()
    other = World(model(), jobs=dict(world.jobs))
    other.resource = other.resource.model_copy(update={"metadata": other.resource.metadata.model_copy(update={"name": "two"})})
    other.settle()
    assert [job.kind for job in other.asked] == ["train"]
    assert replace(other.seen()) == other.seen()
