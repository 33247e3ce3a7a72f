"""An Evaluation that asks again: at each tick the version that is active then, on the rows as they are then."""

from typing import Any

import pytest
from tests.domain.lifecycle_world import ADAPTER, BASE, World, model, reason
from tests.domain.test_evaluation_plan import evaluation

from modelyard.domain.evaluation import Evaluation
from modelyard.domain.model import ModelVersion, ModelVersionSpec, ModelVersionStatus
from modelyard.domain.names import job_name
from modelyard.domain.observed import JobSeen
from modelyard.domain.resource import Metadata

SUITE = "file:///more.jsonl"
OTHER = "c" * 64
FIRST, SECOND = "bot-1111111111", "bot-2222222222"


def version(name: str, adapter: str) -> ModelVersion:
    spec = ModelVersionSpec(model="bot", source=model().spec.source, base_digest=BASE, revision=1)
    return ModelVersion(metadata=Metadata(name=name), spec=spec, status=ModelVersionStatus(phase="Passed", adapter_digest=adapter))


class Yard(World):
    """A Model whose active version and rows a test sets, and a clock."""

    def activate(self, name: str) -> None:
        resource = model()
        self.model = resource.model_copy(update={"status": resource.status.model_copy(update={"active_version": name})})

    def at(self, day: int, hour: int = 6, minute: int = 0) -> None:
        """Let it be then, in January, until nothing is asked for any more."""
        self.now = f"2026-01-{day:02}T{hour:02}:{minute:02}:00Z"
        self.settle()

    def ask(self, request: str) -> None:
        metadata = self.resource.metadata.model_copy(update={"annotations": {"modelyard.io/refresh": request}})
        self.resource = self.resource.model_copy(update={"metadata": metadata})

    def respec(self, **changes: Any) -> None:
        """Apply it with other fields."""
        changed = Evaluation.model_validate({"metadata": {"name": "weekly"}, "spec": self.resource.wire()["spec"] | changes})
        metadata = self.resource.metadata.model_copy(update={"generation": self.resource.metadata.generation + 1})
        self.resource = self.resource.model_copy(update={"spec": changed.spec, "metadata": metadata})

    def fail(self, message: str) -> None:
        """The job that is open ends without a result."""
        self.jobs = {name: JobSeen("failed", message=message) if seen.phase == "queued" else seen for name, seen in self.jobs.items()}

    @property
    def told(self) -> tuple[str, str, str]:
        """Target, and the two times."""
        status = self.resource.status
        return status.target, status.last_schedule_time, status.next_schedule_time

    @property
    def history(self) -> list[tuple[int, str, float]]:
        return [(run.run, run.target, run.scores["records.field_score"]) for run in self.resource.status.history]


def yard(**spec: Any) -> Yard:
    """At noon of the 1st; the first version is active, and scored 0.9."""
    made = Yard(evaluation(**({"schedule": {"cron": "0 6 * * *"}} | spec)), scores={"": 0.2, ADAPTER: 0.9, OTHER: 0.7})
    made.versions = {FIRST: version(FIRST, ADAPTER), SECOND: version(SECOND, OTHER)}
    made.activate(FIRST)
    made.at(1, 12)
    return made


def test_it_begins_at_once_and_tells_when_it_goes_on() -> None:
    world = yard()
    assert world.told == (FIRST, "2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z")
    assert (world.resource.status.phase, world.resource.status.run, world.history) == ("Passed", 1, [(1, FIRST, 0.9)])
    assert world.resource.status.history[0].time == "2026-01-01T12:00:00Z"


def test_a_new_active_version_is_asked_at_the_tick_and_not_before() -> None:
    world = yard()
    world.activate(SECOND)
    world.at(2, 5, 59)
    assert (world.told[0], len(world.asked)) == (FIRST, 1)
    world.at(2)
    assert world.told == (SECOND, "2026-01-02T06:00:00Z", "2026-01-03T06:00:00Z")
    assert world.history == [(2, SECOND, 0.7), (1, FIRST, 0.9)]


def test_other_rows_are_taken_up_at_the_tick_and_not_before() -> None:
    world = yard()
    world.digests = {SUITE: "5" * 64}
    world.at(1, 18)
    assert world.resource.status.suite_digests == {"records": "d" * 64}
    assert len(world.asked) == 1
    world.at(2)
    assert world.resource.status.suite_digests == {"records": "5" * 64}
    assert len(world.asked) == 2


def test_where_nothing_changed_nothing_runs_anew_and_the_tick_is_told() -> None:
    world = yard()
    world.at(2)
    assert (len(world.asked), world.history) == (1, [(2, FIRST, 0.9), (1, FIRST, 0.9)])


def test_ticks_that_were_missed_are_caught_up_with_once() -> None:
    world = yard()
    world.at(9, 10)
    assert (world.told[1], [run for run, _, _ in world.history]) == ("2026-01-09T06:00:00Z", [2, 1])


def test_a_clock_that_goes_back_a_little_runs_nothing_twice() -> None:
    world = yard()
    world.at(2)
    world.now = "2026-01-02T05:59:50Z"
    assert world.plan().steps == ()


def test_a_clock_that_was_far_ahead_does_not_keep_the_schedule_from_going_on() -> None:
    world = yard()
    world.at(20)
    world.at(3)
    assert world.told[1:] == ("2026-01-03T06:00:00Z", "2026-01-04T06:00:00Z")


def test_a_tick_waits_for_the_run_before() -> None:
    world = yard()
    world.activate(SECOND)
    world.now = "2026-01-02T06:00:00Z"
    world.step()
    world.activate(FIRST)
    world.digests = {SUITE: "5" * 64}
    world.now = "2026-01-03T06:00:00Z"
    held = world.step()
    assert len(held.jobs) == 1 and len(world.asked) == 2, "still the one of the second day"
    assert world.told == (SECOND, "2026-01-02T06:00:00Z", "2026-01-03T06:00:00Z"), "overdue, as can be seen"
    assert world.plan().steps == ()
    world.settle()
    assert world.told == (FIRST, "2026-01-03T06:00:00Z", "2026-01-04T06:00:00Z")
    assert world.history == [(3, FIRST, 0.9), (2, SECOND, 0.7), (1, FIRST, 0.9)]


def test_a_run_that_goes_on_stays_with_its_version() -> None:
    world = yard()
    world.activate(SECOND)
    world.now = "2026-01-02T06:00:00Z"
    world.step()
    world.activate(FIRST)
    world.at(2, 7)
    assert world.history[0] == (2, SECOND, 0.7)


def test_a_run_that_failed_is_tried_on_the_rows_as_they_are() -> None:
    world = yard()
    world.digests = {SUITE: "5" * 64}
    world.now = "2026-01-02T06:00:00Z"
    world.step()
    world.fail("line 3 is broken")
    world.step()
    assert (world.resource.status.phase, world.plan().steps) == ("Failed", ())
    world.digests = {SUITE: "6" * 64}
    world.settle()
    assert (world.resource.status.phase, world.resource.status.suite_digests) == ("Passed", {"records": "6" * 64})
    assert world.history[0] == (2, FIRST, 0.9)


def test_the_next_tick_follows_a_run_that_failed() -> None:
    world = yard()
    world.activate(SECOND)
    world.now = "2026-01-02T06:00:00Z"
    world.step()
    world.fail("out of memory")
    world.step()
    world.activate(FIRST)
    world.at(3)
    assert world.history == [(3, FIRST, 0.9), (1, FIRST, 0.9)]


@pytest.mark.parametrize("gone", ["rows", "active version", "model"])
def test_a_tick_that_cannot_be_taken_up_is_taken_up_later(gone: str) -> None:
    world = yard()
    match gone:
        case "rows":
            world.problems = {SUITE: "file:///more.jsonl does not exist; correct the uri"}
        case "active version":
            world.activate("")
        case "model":
            world.model = None
    world.at(2)
    expected = {"rows": "InputNotFound", "active version": "NoActiveVersion", "model": "ModelNotFound"}
    assert reason(world.resource) == expected[gone]
    assert world.told[1] == "2026-01-01T06:00:00Z"
    assert len({condition.type for condition in world.resource.status.conditions}) == len(world.resource.status.conditions)
    world.problems = {}
    world.activate(SECOND)
    world.at(2, 9)
    assert (world.told[:2], world.history[0][:2]) == ((SECOND, "2026-01-02T06:00:00Z"), (2, SECOND))


def test_rows_that_are_gone_between_ticks_change_nothing() -> None:
    world = yard()
    world.problems = {SUITE: "file:///more.jsonl does not exist; correct the uri"}
    world.now = "2026-01-01T18:00:00Z"
    assert world.plan().steps == ()


def test_a_version_that_is_retired_between_ticks_leaves_its_scores() -> None:
    world = yard(gate=[{"metric": "records.field_score", "atLeast": 0.8}])
    world.activate(SECOND)
    del world.versions[FIRST]
    world.at(1, 18)
    assert (world.resource.status.phase, world.told[0], len(world.asked)) == ("Passed", FIRST, 1)
    assert [score.value for score in world.resource.status.scores] == [0.9]
    world.at(2)
    assert (world.resource.status.phase, world.told[0]) == ("Rejected", SECOND)
    assert [run.passed for run in world.resource.status.history] == [False, True]


def test_a_person_may_ask_between_ticks_once_for_each_request() -> None:
    world = yard()
    world.activate(SECOND)
    world.ask("now")
    world.at(1, 18)
    assert (world.told, world.resource.status.refreshed) == ((SECOND, "2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"), "now")
    world.activate(FIRST)
    world.at(1, 19)
    assert world.told[0] == SECOND


def test_a_changed_spec_is_taken_up_at_once() -> None:
    world = yard()
    world.activate(SECOND)
    world.respec(suites=[{"name": "records", "uri": SUITE, "limit": 5}])
    world.at(1, 13)
    assert world.history[0] == (2, SECOND, 0.7)


def test_a_changed_gate_judges_the_run_anew_without_any_job() -> None:
    world = yard()
    world.respec(gate=[{"metric": "records.field_score", "atLeast": 0.95}])
    world.at(1, 13)
    assert (world.resource.status.phase, len(world.asked)) == ("Rejected", 1)


def test_without_a_schedule_it_stays_with_its_version_and_follows_the_rows() -> None:
    world = yard(schedule=None)
    world.activate(SECOND)
    world.digests = {SUITE: "5" * 64}
    world.at(5)
    assert (world.told, world.history, len(world.asked)) == ((FIRST, "", ""), [], 2)
    assert world.resource.status.suite_digests == {}


def test_without_a_schedule_a_person_has_the_active_version_asked() -> None:
    world = yard(schedule=None)
    world.activate(SECOND)
    world.ask("now")
    world.at(5)
    assert (world.told, world.history) == ((SECOND, "", ""), [(2, SECOND, 0.7)])


def test_a_schedule_that_is_taken_away_leaves_no_times() -> None:
    world = yard()
    world.respec(schedule=None)
    world.at(2)
    assert world.told == (FIRST, "", "")


def test_ten_runs_are_told_of() -> None:
    world = yard()
    for day in range(2, 15):
        world.at(day)
    assert [run for run, _, _ in world.history] == list(range(14, 4, -1))


def test_a_run_whose_job_is_lost_is_asked_again_on_the_same_rows() -> None:
    world = yard()
    world.digests = {SUITE: "5" * 64}
    world.jobs = {}
    world.at(1, 18)
    assert [job_name(job) for job in world.asked][0] == job_name(world.asked[1])
