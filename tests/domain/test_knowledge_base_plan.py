"""The plan of a KnowledgeBase, in a world that does what it is told."""

from tests.domain.lifecycle_world import World, kinds, knowledge_base

from modelyard.domain.observed import (
    RemoveIndex,
    RemoveResource,
)


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


def test_documents_that_are_as_before_again_are_ingested_again_since_their_index_is_gone() -> None:
    world = World(knowledge_base())
    world.settle()
    first = world.resource.status.collection
    for digest in ("5" * 64, "d" * 64):
        world.digests = {"file:///docs": digest}
        world.settle()
    assert [job.kind for job in world.asked] == ["fetch", "ingest", "ingest", "ingest"]
    assert world.resource.status.collection != first
    assert world.resource.status.builds == 3


def test_a_namesake_that_comes_after_a_deletion_is_ingested_again() -> None:
    world = World(knowledge_base())
    world.settle()
    metadata = world.resource.metadata.model_copy(update={"uid": "another"})
    world.resource = knowledge_base().model_copy(update={"metadata": metadata})
    world.settle()
    assert [job.kind for job in world.asked] == ["fetch", "ingest", "ingest"]
