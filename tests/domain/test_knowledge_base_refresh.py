"""A KnowledgeBase that takes up changed documents only at ticks, or by hand."""

from typing import Any

from tests.domain.lifecycle_world import World, knowledge_base, reason

from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.observed import JobSeen

DOCS = "file:///docs"
OLD, NEW, NEWER = "d" * 64, "5" * 64, "6" * 64


class Yard(World):
    def at(self, day: int, hour: int = 6) -> None:
        """Let it be then, in January, until nothing is asked for any more."""
        self.now = f"2026-01-{day:02}T{hour:02}:00:00Z"
        self.settle()

    def ask(self, request: str) -> None:
        metadata = self.resource.metadata.model_copy(update={"annotations": {"modelyard.io/refresh": request}})
        self.resource = self.resource.model_copy(update={"metadata": metadata})

    @property
    def ingested(self) -> int:
        return sum(job.kind == "ingest" for job in self.asked)

    @property
    def taken(self) -> tuple[str, str]:
        """The documents that are searchable, and the tick that they are of."""
        return self.resource.status.source_digests.get(DOCS, ""), self.resource.status.last_schedule_time


def yard(**spec: Any) -> Yard:
    """At noon of the 1st, with what there was then."""
    document = knowledge_base().wire()
    document["spec"] |= {"refresh": {"cron": "0 6 * * *"}} | spec
    world = Yard(KnowledgeBase.model_validate(document))
    world.at(1, 12)
    assert (world.resource.status.phase, world.ingested) == ("Ready", 1)
    return world


def test_documents_are_taken_up_at_once_and_then_at_ticks() -> None:
    world = yard()
    assert world.taken == (OLD, "2026-01-01T06:00:00Z")
    assert world.resource.status.next_schedule_time == "2026-01-02T06:00:00Z"
    world.digests = {DOCS: NEW}
    world.at(1, 20)
    assert (world.taken[0], world.ingested) == (OLD, 1)
    world.at(2)
    assert (world.taken, world.ingested) == ((NEW, "2026-01-02T06:00:00Z"), 2)


def test_a_tick_without_changes_ingests_nothing() -> None:
    world = yard()
    world.at(2)
    assert (world.taken[1], world.ingested) == ("2026-01-02T06:00:00Z", 1)


def test_a_person_need_not_wait_for_the_tick() -> None:
    world = yard()
    world.digests = {DOCS: NEW}
    world.ask("now")
    world.at(1, 20)
    assert (world.taken, world.resource.status.refreshed) == ((NEW, "2026-01-01T06:00:00Z"), "now")
    world.digests = {DOCS: NEWER}
    world.at(1, 21)
    assert world.taken[0] == NEW


def test_a_tick_waits_for_the_job_before() -> None:
    world = yard()
    world.digests = {DOCS: NEW}
    world.now = "2026-01-02T06:00:00Z"
    world.step()
    world.digests = {DOCS: NEWER}
    world.now = "2026-01-03T06:00:00Z"
    wanted = world.step()
    assert (world.taken, world.ingested) == ((NEW, "2026-01-02T06:00:00Z"), 2)
    assert wanted.knowledge_bases, "readers keep the old index while the new one is built"
    world.settle()
    assert (world.taken, world.ingested) == ((NEWER, "2026-01-03T06:00:00Z"), 3)


def test_documents_that_broke_a_job_are_replaced_by_better_ones() -> None:
    world = yard()
    world.digests = {DOCS: NEW}
    world.now = "2026-01-02T06:00:00Z"
    world.step()
    world.jobs |= {name: JobSeen("failed", message="a.md is not text") for name, seen in world.jobs.items() if seen.phase == "queued"}
    world.step()
    assert (world.resource.status.phase, world.plan().steps) == ("Failed", ())
    world.digests = {DOCS: NEWER}
    world.settle()
    assert (world.resource.status.phase, world.taken[0]) == ("Ready", NEWER)


def test_documents_that_are_gone_matter_at_the_tick_and_the_index_goes_on() -> None:
    world = yard()
    world.problems = {DOCS: "file:///docs does not exist; correct the uri"}
    world.now = "2026-01-01T20:00:00Z"
    assert world.plan().steps == ()
    world.now = "2026-01-02T06:00:00Z"
    wanted = world.step()
    assert reason(world.resource, "Ingested") == "InputNotFound" and wanted.knowledge_bases
    assert len({condition.type for condition in world.resource.status.conditions}) == len(world.resource.status.conditions)
    world.problems, world.digests = {}, {DOCS: NEW}
    world.at(2, 8)
    assert (world.resource.status.phase, world.taken) == ("Ready", (NEW, "2026-01-02T06:00:00Z"))


def test_a_changed_spec_is_taken_up_at_once() -> None:
    world = yard()
    world.digests = {DOCS: NEW}
    document = world.resource.wire()
    document["spec"]["chunking"] = {"maxTokens": 100, "overlapTokens": 20}
    document["metadata"]["generation"] = 2
    world.resource = KnowledgeBase.model_validate(document)
    world.at(1, 13)
    assert (world.taken[0], world.ingested) == (NEW, 2)


def test_without_a_schedule_changes_are_taken_up_as_soon_as_they_are_noticed() -> None:
    world = yard(refresh=None)
    world.digests = {DOCS: NEW}
    world.ask("now")
    world.at(1, 13)
    assert (world.taken, world.ingested, world.resource.status.refreshed) == (("", ""), 2, "now")
