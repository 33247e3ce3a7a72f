"""The operator against a real API server, with KubeRay and the gateway played."""

import json
from typing import Any

import pytest
import yaml

from harness.faults import Answer
from operating import wait_until
from world import World


def test_a_model_and_a_knowledge_base_become_ready(world: World) -> None:
    world.apply(world.model(), world.knowledge_base())
    with world.operator():
        status = world.await_phase("Ready")
        world.await_phase("Ready", "knowledgebases", "docs")
    assert status["observedGeneration"] == 1
    assert "bot" in status["servedNames"] and "bot:base" in status["servedNames"]
    (version,) = world.all("modelversions")
    assert version["metadata"]["ownerReferences"][0]["kind"] == "Model"
    assert version["status"]["phase"] == "Passed" and version["status"]["scores"][0]["value"] == 0.9
    assert set(world.player.started.values()) == {1}, "each job once"
    reasons = [event.reason for event in world.events() if event.involved_object.name == "bot"]
    for reason in ("JobQueued", "VersionCreated", "Trained", "GatePassed", "Answering"):
        assert reason in reasons


def test_a_rejected_model_is_not_served(world: World) -> None:
    world.player.tuned_score = 0.2
    world.apply(world.model())
    with world.operator():
        world.await_phase("Rejected")
        assert "records.field_score 0.2" in world.condition("Promoted")["message"]
        assert world.ray_services() == []


@pytest.mark.parametrize("phase", ["Fetching", "Training", "Evaluating", "Ready", "Rejected", "Failed"])
def test_a_model_that_is_deleted_in_any_phase_leaves_nothing(world: World, phase: str) -> None:
    kind = {"Fetching": "fetch", "Training": "train", "Evaluating": "evaluate"}.get(phase)
    world.player.held = {kind} if kind else set()
    world.player.tuned_score = 0.1 if phase == "Rejected" else 0.9
    if phase == "Failed":
        world.player.failures = {"train": [("all tokens are masked", False)]}
    world.apply(world.model())
    with world.operator():
        wait_until(lambda: world.phase() == phase or (phase == "Evaluating" and "evaluate" in world.live_jobs()), told=world.status)
        world.delete()
        world.await_gone()
        wait_until(lambda: world.live_jobs() == [], told=world.live_jobs)
        wait_until(lambda: world.all("modelversions") == [] and world.ray_services() == [], told=world.ray_services)


def test_a_failure_that_may_pass_is_tried_again_with_a_new_job_and_the_same_run(world: World) -> None:
    world.player.failures = {"train": [("a worker was lost", True)]}
    world.apply(world.model())
    with world.operator():
        world.await_phase("Ready")
    assert [count for name, count in world.player.started.items() if name.startswith("train")] == [2]


def test_a_failure_that_will_not_pass_is_told_with_its_cause(world: World) -> None:
    world.player.failures = {"train": [("every answer is cut off; raise maxLength", False)]}
    world.apply(world.model())
    with world.operator():
        world.await_phase("Failed")
    assert world.condition("Trained")["message"] == "every answer is cut off; raise maxLength"
    assert world.condition("Trained")["reason"] == "JobFailed"


def test_a_job_that_somebody_deletes_is_made_again(world: World) -> None:
    world.player.held = {"train"}
    world.apply(world.model())
    with world.operator():
        wait_until(lambda: "train" in world.live_jobs())
        (job,) = [job for job in world.player.jobs() if job["metadata"]["name"].startswith("train")]
        world.objects.delete_namespaced_custom_object("ray.io", "v1", world.namespace, "rayjobs", job["metadata"]["name"])
        wait_until(
            lambda: any(
                j["metadata"]["uid"] != job["metadata"]["uid"]
                for j in world.player.jobs()
                if j["metadata"]["name"] == job["metadata"]["name"]
            )
        )
        world.player.held = set()
        world.await_phase("Ready")


def test_a_serving_side_that_somebody_edits_or_deletes_is_put_back(world: World) -> None:
    world.apply(world.model())
    with world.operator():
        world.await_phase("Ready")
        (service,) = world.ray_services()
        where = ("ray.io", "v1", world.namespace, "rayservices", service["metadata"]["name"])
        world.objects.patch_namespaced_custom_object(*where, {"spec": {"serveConfigV2": "applications: []"}})
        wait_until(lambda: "engine-" in world.ray_services()[0]["spec"]["serveConfigV2"])
        world.objects.delete_namespaced_custom_object(*where)
        wait_until(lambda: [s for s in world.ray_services() if s["metadata"]["uid"] != service["metadata"]["uid"]] != [])
        world.await_phase("Ready")


def test_an_operator_that_is_ended_and_started_again_goes_on_without_a_second_job(world: World) -> None:
    world.player.held = {"train"}
    world.apply(world.model())
    with world.operator():
        wait_until(lambda: "train" in world.live_jobs())
    world.player.held = set()
    with world.operator():
        world.await_phase("Ready")
    assert set(world.player.started.values()) == {1}


def test_two_operators_at_once_make_no_job_twice(world: World) -> None:
    world.apply(world.model(), world.knowledge_base())
    with world.operator(), world.operator():
        world.await_phase("Ready")
        world.await_phase("Ready", "knowledgebases", "docs")
    assert set(world.player.started.values()) == {1}
    assert len(world.all("modelversions")) == 1


def test_a_missing_dataset_is_the_cause_and_heals(world: World) -> None:
    (world.folder / "train.jsonl").unlink()
    world.apply(world.model())
    with world.operator():
        world.await_phase("Failed")
        assert "train.jsonl" in world.condition("Trained")["message"]
        (world.folder / "train.jsonl").write_text("{}\n")
        world.apply(world.model() | {"metadata": {"name": "bot", "annotations": {"look": "again"}}})
        world.await_phase("Ready")


def test_a_job_that_the_api_server_refuses_is_told_and_tried_again(world: World, proxy: Any) -> None:
    proxy.inject(Answer(403, message="exceeded quota: team-quota"), times=None, verb="patch", resource="rayjobs")
    world.apply(world.model())
    with world.operator(proxy.kubeconfig):
        wait_until(lambda: world.condition("Ready").get("reason") == "JobRefused", told=world.status)
        assert "exceeded quota: team-quota" in world.condition("Ready")["message"]
        proxy.heal()
        world.await_phase("Ready")


def test_what_is_as_it_should_be_is_looked_at_and_not_written(world: World, proxy: Any) -> None:
    world.apply(world.model(), world.knowledge_base())
    keys = [("Model", world.namespace, "bot"), ("KnowledgeBase", world.namespace, "docs"), ("", world.namespace, "")]
    with world.operator(proxy.kubeconfig) as operator:
        world.await_phase("Ready")
        world.await_phase("Ready", "knowledgebases", "docs")
        wait_until(lambda: operator.has_looked_at(keys))
        before = proxy.traffic.count(kind="write")
        for _ in range(3):
            wait_until(lambda: operator.has_looked_at(keys))
        assert proxy.traffic.count(kind="write") == before


def test_a_suspended_model_holds_its_job_and_goes_on_with_the_same_run(world: World) -> None:
    world.player.held = {"train"}
    world.apply(world.model())
    with world.operator():
        wait_until(lambda: (world.status().get("progress") or {}).get("step") == 1 and world.phase() == "Training", told=world.status)
        world.apply(world.model(suspend=True))
        wait_until(lambda: world.condition("Ready").get("reason") == "Suspended", told=world.status)
        (job,) = [job for job in world.player.jobs() if job["metadata"]["name"].startswith("train")]
        wait_until(
            lambda: [j["spec"].get("suspend") for j in world.player.jobs() if j["metadata"]["uid"] == job["metadata"]["uid"]] == [True]
        )
        world.player.held = set()
        world.apply(world.model(suspend=False))
        world.await_phase("Ready")
    run = world.folder / "runs" / world.namespace / job["metadata"]["name"]
    assert json.loads((run / "attempt.json").read_text())["count"] == 1


def test_the_serve_config_names_the_adapter_that_passed(world: World) -> None:
    world.apply(world.model())
    with world.operator():
        world.await_phase("Ready")
    config = yaml.safe_load(world.ray_services()[0]["spec"]["serveConfigV2"])
    engine = next(app for app in config["applications"] if app["name"].startswith("engine-"))
    assert engine["deployments"][0]["user_config"] == {"adapters": [world.all("modelversions")[0]["status"]["adapterDigest"]]}
    assert json.dumps(config).count("package://") == 0
