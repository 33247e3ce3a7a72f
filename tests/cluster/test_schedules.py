"""What happens by the clock, by hand or by itself when data changes, on a real API server with a clock that tests set."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from modelyard.operator.server_clock import ServerClock
from operating import Operator, wait_until
from world import World

DAILY = {"cron": "0 6 * * *"}
NOON, TOMORROW = "2026-01-01T12:00:00Z", "2026-01-02T06:00:00Z"


class Clock(ServerClock):
    """The operator's, which moves only when a test sets it."""

    def __init__(self, time: str = NOON) -> None:
        super().__init__()
        self.time = time

    def hear(self, date: str | None) -> None:
        return

    def seconds(self) -> float:
        return datetime.fromisoformat(self.time).timestamp()


def operator(world: World, clock: Clock) -> Operator:
    return Operator(world.cluster.client(), world.settings, world.player.gateway_url, clock=clock)


def evaluation(world: World, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "modelyard.io/v1alpha1",
        "kind": "Evaluation",
        "metadata": {"name": "nightly"},
        "spec": {"model": "bot", "suites": [{"name": "records", "uri": asked(world).as_uri()}], "schedule": DAILY} | spec,
    }


def asked(world: World) -> Path:
    """The rows of the evaluation."""
    path = world.folder / "asked.jsonl"
    if not path.exists():
        path.write_text('{"messages": []}\n')
    return path


def put(path: Path, text: str) -> None:
    """Replace a file whole: the operator may look at any moment."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def tuned(world: World, seed: int) -> dict[str, Any]:
    tune = {"dataset": {"uri": (world.folder / "train.jsonl").as_uri()}, "hyperparameters": {"seed": seed}}
    return world.model(fineTune=tune)


def annotate(world: World, what: str, value: str) -> None:
    done = world.cluster.kubectl("annotate", "--overwrite", "-n", world.namespace, what, f"modelyard.io/refresh={value}")
    assert done.returncode == 0, done.stderr


def jobs(world: World, kind: str) -> int:
    return sum(count for name, count in world.player.started.items() if name.startswith(f"{kind}-"))


def test_an_evaluation_follows_a_new_active_version_at_the_tick_and_not_before(world: World) -> None:
    clock, key = Clock(), ("Evaluation", world.namespace, "nightly")

    def status() -> dict[str, Any]:
        return world.status("evaluations", "nightly")

    with operator(world, clock) as running:
        world.apply(tuned(world, 1))
        first = world.await_phase("Ready")["activeVersion"]
        world.apply(evaluation(world))
        begun = world.await_phase("Passed", "evaluations", "nightly")
        assert (begun["target"], begun["lastScheduleTime"], begun["nextScheduleTime"]) == (first, "2026-01-01T06:00:00Z", TOMORROW)
        world.apply(tuned(world, 2))
        wait_until(lambda: world.status().get("activeVersion") not in ("", first, None), told=world.status)
        second = world.status()["activeVersion"]
        clock.time = "2026-01-02T05:59:59Z"
        assert running.has_looked_at([key]) and status() == begun
        clock.time = TOMORROW
        running.has_looked_at([key])
        wait_until(lambda: [run["target"] for run in status().get("history", [])] == [second, first], told=status)
        assert status()["lastScheduleTime"] == TOMORROW
        row = world.cluster.kubectl("get", "eval", "nightly", "-n", world.namespace).stdout.splitlines()
        assert row[0].split() == ["NAME", "MODEL", "PHASE", "DONE%", "SCORES", "PASSED", "SCHEDULE", "LAST", "AGE"]
        assert "0 6 * * *" in row[1]
    evaluated = jobs(world, "evaluate")
    clock.time = "2026-01-09T10:00:00Z"  # nobody was there for a week
    with operator(world, clock):
        wait_until(lambda: len(status()["history"]) == 3, told=status)
        assert status()["lastScheduleTime"] == "2026-01-09T06:00:00Z"
        assert jobs(world, "evaluate") == evaluated, "nothing had changed"
        put(asked(world), '{"messages": [1]}\n')
        annotate(world, "evaluation/nightly", "before lunch")
        wait_until(lambda: len(status()["history"]) == 4, told=status)
    assert (status()["refreshed"], jobs(world, "evaluate")) == ("before lunch", evaluated + 1)
    assert set(world.player.started.values()) == {1}


def test_a_changed_dataset_trains_only_when_somebody_wants_it(world: World) -> None:
    clock, rows, key = Clock(), world.folder / "train.jsonl", ("Model", world.namespace, "bot")
    with operator(world, clock) as running:
        world.apply(world.model())
        first = world.await_phase("Ready")["version"]
        put(rows, '{"messages": [1]}\n')
        running.has_looked_at([key])
        wait_until(lambda: world.condition("DatasetCurrent").get("reason") == "DatasetChanged", told=world.status)
        assert f"{first} was trained on" in world.condition("DatasetCurrent")["message"]
        assert (world.phase(), world.status()["version"], jobs(world, "train")) == ("Ready", first, 1)
        annotate(world, "model/bot", "now")
        wait_until(lambda: world.status().get("activeVersion") not in ("", None, first), told=world.status)
        second = world.status()["activeVersion"]
        wait_until(lambda: world.condition("DatasetCurrent") == {} and world.phase() == "Ready", told=world.status)
        assert world.status()["refreshed"] == "now"
        put(rows, '{"messages": [2]}\n')
        running.has_looked_at([key])
        wait_until(lambda: world.condition("DatasetCurrent").get("status") == "False", told=world.status)
        assert jobs(world, "train") == 2
        world.objects.patch_namespaced_custom_object(
            "modelyard.io", "v1alpha1", world.namespace, "models", "bot", {"spec": {"retrain": "on-change"}}
        )
        wait_until(lambda: world.status().get("activeVersion") not in ("", None, first, second), told=world.status)
        put(rows, '{"messages": [3]}\n')
        running.has_looked_at([key])
        wait_until(lambda: jobs(world, "train") == 4, told=world.status)
        world.await_phase("Ready")
    assert any(event.reason == "DatasetChanged" for event in world.events())
    assert set(world.player.started.values()) == {1}


def test_documents_are_taken_up_when_the_schedule_ticks_or_somebody_asks(world: World) -> None:
    clock, key = Clock("2026-01-02T05:59:58Z"), ("KnowledgeBase", world.namespace, "docs")
    base = world.knowledge_base()
    base["spec"]["refresh"] = DAILY
    with operator(world, clock) as running:
        world.apply(base)
        begun = world.await_phase("Ready", "knowledgebases", "docs")
        put(world.folder / "docs" / "a.md", "# B\n")
        assert running.has_looked_at([key]) and world.status("knowledgebases", "docs") == begun
        clock.time = TOMORROW  # nothing else tells the operator: it looks when the tick is due
        wait_until(lambda: jobs(world, "ingest") == 2, told=lambda: world.get("knowledgebases", "docs"))
        status = world.await_phase("Ready", "knowledgebases", "docs")
        assert (status["lastScheduleTime"], status["nextScheduleTime"]) == (TOMORROW, "2026-01-03T06:00:00Z")
        put(world.folder / "docs" / "a.md", "# C\n")
        annotate(world, "kb/docs", "now")
        wait_until(lambda: jobs(world, "ingest") == 3, told=lambda: world.get("knowledgebases", "docs"))
        world.await_phase("Ready", "knowledgebases", "docs")
    assert set(world.player.started.values()) == {1}


def test_two_operators_with_clocks_apart_run_no_tick_twice(world: World) -> None:
    ahead, behind = Clock("2026-01-02T06:00:03Z"), Clock("2026-01-02T05:59:58Z")
    key = ("Evaluation", world.namespace, "nightly")
    with operator(world, Clock()):
        world.apply(world.model(), evaluation(world))
        world.await_phase("Passed", "evaluations", "nightly")
    with operator(world, ahead) as first, operator(world, behind) as second:
        wait_until(lambda: len(world.status("evaluations", "nightly")["history"]) == 2)
        for _ in range(3):
            assert first.has_looked_at([key]) and second.has_looked_at([key])
        status = world.status("evaluations", "nightly")
    assert (len(status["history"]), status["lastScheduleTime"]) == (2, TOMORROW)


def test_a_day_that_the_server_does_not_know_to_be_impossible_is_told_in_the_status(world: World) -> None:
    with operator(world, Clock()):
        world.apply(evaluation(world, schedule={"cron": "0 0 31 2/7 *"}))
        wait_until(lambda: world.condition("Ready", "evaluations", "nightly") != {})
    told = world.condition("Ready", "evaluations", "nightly")
    assert (told["reason"], "'0 0 31 2/7 *' never comes" in json.dumps(told)) == ("InvalidSpec", True)
