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
