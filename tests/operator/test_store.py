import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelyard.domain.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from modelyard.domain.knowledge_base import DocumentSource, KnowledgeBase, KnowledgeBaseSpec
from modelyard.domain.model import Model, ModelSpec, ModelStatus, ModelVersion, ModelVersionSpec, Retention, Source
from modelyard.domain.resource import Metadata, OwnerReference
from modelyard.operator.store import EVENTS_KEPT, ResourceStore

SOURCE = Source(uri="hf://org/base")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[ResourceStore]:
    store = ResourceStore(tmp_path / "home" / "platform.db", clock)
    yield store
    store.close()


def model(name: str = "bot", namespace: str = "default", keep: int = 5, **metadata: object) -> Model:
    spec = ModelSpec(source=SOURCE, retention=Retention(keep_versions=keep))
    return Model(metadata=Metadata.model_validate({"name": name, "namespace": namespace, **metadata}), spec=spec)


def version_of(owner: Model, name: str) -> ModelVersion:
    reference = OwnerReference(kind=owner.kind, name=owner.metadata.name, uid=owner.metadata.uid)
    spec = ModelVersionSpec(model=owner.metadata.name, source=SOURCE, base_digest="d", revision=1)
    return ModelVersion(metadata=Metadata(name=name, owner_references=[reference]), spec=spec)


def stored(store: ResourceStore, name: str = "bot") -> Model:
    found = store.get("Model", "default", name)
    assert isinstance(found, Model)
    return found


def test_applying_sets_what_the_server_sets(store: ResourceStore) -> None:
    assert store.apply(model()) == "created"
    metadata = stored(store).metadata
    assert (metadata.generation, metadata.resource_version, metadata.creation_timestamp) == (1, 1, "2026-01-01T00:00:00Z")
    assert len(metadata.uid) == 36


def test_generation_counts_changes_of_the_spec_only(store: ResourceStore) -> None:
    store.apply(model())
    assert store.apply(model(labels={"team": "a"})) == "configured"
    assert stored(store).metadata.generation == 1
    assert store.apply(model(keep=2, labels={"team": "a"})) == "configured"
    metadata = stored(store).metadata
    assert (metadata.generation, metadata.resource_version, metadata.labels) == (2, 3, {"team": "a"})


def test_applying_the_same_again_writes_nothing(store: ResourceStore) -> None:
    store.apply(model())
    before = store.revision(), stored(store)
    assert store.apply(model()) == "unchanged"
    assert (store.revision(), stored(store)) == before


def test_applying_keeps_status_uid_and_creation(store: ResourceStore, clock: Clock) -> None:
    store.apply(model())
    store.set_status(("Model", "default", "bot"), ModelStatus(phase="Ready"))
    before = stored(store)
    clock.move(60)
    store.apply(model(keep=2))
    after = stored(store)
    assert after.status == before.status
    assert after.metadata.uid == before.metadata.uid
    assert after.metadata.creation_timestamp == before.metadata.creation_timestamp


def test_a_resource_that_is_being_deleted_is_not_applied(store: ResourceStore) -> None:
    store.apply(model())
    store.request_deletion(("Model", "default", "bot"))
    with pytest.raises(
        ConflictError, match=r"^Model/bot is being deleted since 2026-01-01T00:00:00Z; wait until it is gone .* and apply it again$"
    ):
        store.apply(model())


def test_created_resources_keep_their_owners(store: ResourceStore) -> None:
    store.apply(model())
    made = store.create(version_of(stored(store), "bot-1"))
    assert store.get("ModelVersion", "default", "bot-1") == made
    assert made.metadata.owner_references[0].uid == stored(store).metadata.uid
    assert made.metadata.generation == 1


def test_creating_twice_is_a_conflict(store: ResourceStore) -> None:
    store.create(model())
    with pytest.raises(ConflictError, match=r"^Model/bot in namespace 'default' exists already; use it, or delete it first$"):
        store.create(model())


@pytest.mark.parametrize(
    ("there", "message"),
    [
        pytest.param([], "there is none at all; make one with `modelyard apply -f FILE`", id="nothing is there"),
        pytest.param([("bot", "default")], "did you mean bot? there is bot", id="one is spelled like it"),
        pytest.param([("a", "default"), ("b", "default")], "there are a, b", id="others are there"),
        pytest.param([("bots", "team")], "there is one in namespace team: add -n team", id="it is in another namespace"),
        pytest.param(
            [(f"m{n:02}", "default") for n in range(12)], f"there are {', '.join(f'm{n:02}' for n in range(10))} and 2 more", id="many"
        ),
    ],
)
def test_what_is_missing_is_told_what_there_is(store: ResourceStore, there: list[tuple[str, str]], message: str) -> None:
    for name, namespace in there:
        store.apply(model(name, namespace))
    with pytest.raises(NotFoundError) as raised:
        store.get("Model", "default", "bots")
    assert str(raised.value) == f"there is no Model 'bots' in namespace 'default'; {message}"
    assert store.find("Model", "default", "bots") is None


def test_lists_are_filtered_and_ordered(store: ResourceStore) -> None:
    store.apply(KnowledgeBase(metadata=Metadata(name="docs"), spec=KnowledgeBaseSpec(sources=[DocumentSource(uri="docs")])))
    for name, namespace in (("b", "default"), ("a", "default"), ("c", "team")):
        store.apply(model(name, namespace))
    assert [r.metadata.name for r in store.list()] == ["docs", "a", "b", "c"]
    assert [r.metadata.name for r in store.list("Model")] == ["a", "b", "c"]
    assert [r.metadata.name for r in store.list("Model", "team")] == ["c"]
    assert [r.metadata.name for r in store.list(namespace="default")] == ["docs", "a", "b"]


def test_a_status_is_written_once(store: ResourceStore) -> None:
    store.apply(model())
    key = stored(store).key
    assert store.set_status(key, ModelStatus(phase="Ready"))
    before = store.revision()
    assert not store.set_status(key, ModelStatus(phase="Ready"))
    assert store.revision() == before
    metadata = stored(store).metadata
    assert (metadata.generation, metadata.resource_version) == (1, 2)


def test_the_status_of_a_gone_resource_is_dropped(store: ResourceStore) -> None:
    assert not store.set_status(("Model", "default", "gone"), ModelStatus(phase="Ready"))


def test_deletion_is_requested_once(store: ResourceStore, clock: Clock) -> None:
    store.apply(model())
    store.request_deletion(("Model", "default", "bot"))
    clock.move(60)
    store.request_deletion(("Model", "default", "bot"))
    assert stored(store).metadata.deletion_timestamp == "2026-01-01T00:00:00Z"
    with pytest.raises(NotFoundError):
        store.request_deletion(("Model", "default", "other"))


def test_what_a_resource_owns_goes_with_it(store: ResourceStore) -> None:
    store.apply(model())
    store.apply(model("other"))
    store.create(version_of(stored(store), "bot-1"))
    store.create(version_of(stored(store, "other"), "other-1"))
    store.record_event(("ModelVersion", "default", "bot-1"), "Normal", "Made", "made")
    store.remove(("Model", "default", "bot"))
    assert [r.metadata.name for r in store.list()] == ["other", "other-1"]
    assert store.events() == []
    before = store.revision()
    store.remove(("Model", "default", "bot"))
    assert store.revision() == before


def test_a_name_can_be_used_again_after_removal(store: ResourceStore) -> None:
    store.apply(model())
    first = stored(store).metadata.uid
    store.remove(("Model", "default", "bot"))
    assert store.apply(model()) == "created"
    assert stored(store).metadata.uid != first


def test_the_same_event_is_counted(store: ResourceStore, clock: Clock) -> None:
    store.apply(model())
    key = stored(store).key
    store.record_event(key, "Warning", "Retrying", "the hub does not answer")
    clock.move(5)
    store.record_event(key, "Normal", "JobQueued", "fetch job")
    clock.move(5)
    store.record_event(key, "Warning", "Retrying", "the hub does not answer")
    queued, retrying = store.events(key)
    assert (queued.reason, queued.count) == ("JobQueued", 1)
    assert (retrying.count, retrying.first_seen, retrying.last_seen) == (2, "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z")


def test_events_of_a_resource_are_bounded_and_its_own(store: ResourceStore) -> None:
    store.apply(model())
    store.apply(model("other"))
    store.record_event(("Model", "default", "other"), "Normal", "Made", "made")
    for number in range(EVENTS_KEPT + 5):
        store.record_event(("Model", "default", "bot"), "Normal", "Step", str(number))
    kept = store.events(("Model", "default", "bot"))
    assert [event.message for event in kept] == [str(number) for number in range(5, EVENTS_KEPT + 5)]
    assert len(store.events()) == EVENTS_KEPT + 1


def test_events_of_a_gone_resource_are_dropped(store: ResourceStore) -> None:
    before = store.revision()
    store.record_event(("Model", "default", "gone"), "Normal", "Made", "made")
    assert store.events() == []
    assert store.revision() == before


def test_every_change_moves_the_revision(store: ResourceStore) -> None:
    seen = [store.revision()]
    key = ("Model", "default", "bot")
    for change in (
        lambda: store.apply(model()),
        lambda: store.set_status(key, ModelStatus(phase="Ready")),
        lambda: store.record_event(key, "Normal", "Made", "made"),
        lambda: store.request_deletion(key),
        lambda: store.remove(key),
    ):
        change()
        seen.append(store.revision())
    assert seen == sorted(set(seen))


def test_another_process_sees_changes(store: ResourceStore) -> None:
    other = ResourceStore(store.path)
    before = other.revision()
    store.apply(model())
    assert other.revision() > before
    assert other.get("Model", "default", "bot") == stored(store)
    other.close()


def test_a_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "platform.db"
    ResourceStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE platform SET schema_version = 99")
    connection.close()
    with pytest.raises(
        ConflictError, match=r"platform\.db was written by a newer Modelyard \(schema 99; this one knows 1\); upgrade this Modelyard, or"
    ):
        ResourceStore(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "platform.db"
    path.write_text("not a database " * 100)
    with pytest.raises(IntegrityError, match=r"platform\.db is not a readable database: file is not a database; put a copy in its place"):
        ResourceStore(path)


def test_a_place_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"file cannot be made: File exists; choose another home$"):
        ResourceStore(tmp_path / "file" / "platform.db")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnavailableError, match="folder cannot be used: unable to open database file; check that"):
        ResourceStore(tmp_path / "folder")


def test_a_document_of_another_release_is_named(store: ResourceStore) -> None:
    store.apply(model())
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE resources SET document = replace(document, 'source', 'origin')")
    connection.close()
    with pytest.raises(
        IntegrityError, match=r"^Model/bot in .* was not written by this Modelyard: .*origin.*; use the release that wrote it"
    ):
        store.list()


WRITER = """
import sys
from pathlib import Path
from modelyard.domain.model import Model, ModelSpec, ModelStatus, Source
from modelyard.domain.resource import Metadata
from modelyard.operator.store import ResourceStore

path, me, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.readline()  # both begin at once, each on a database that is not there yet
store = ResourceStore(path)
own = Model(metadata=Metadata(name=me), spec=ModelSpec(source=Source(uri="hf://org/base")))
both = Model(metadata=Metadata(name="both"), spec=ModelSpec(source=Source(uri="hf://org/base")))
store.apply(own)
store.apply(both)
for number in range(rounds):
    assert store.set_status(own.key, ModelStatus(job=str(number)))
    store.record_event(both.key, "Normal", "Round", "both do this")
store.close()
"""


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path, rounds = tmp_path / "home" / "platform.db", 100
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name, str(rounds)], stdin=subprocess.PIPE)
        for name in ("first", "second")
    ]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0, 0]
    store = ResourceStore(path)
    (event,) = store.events()
    assert event.count == 2 * rounds
    assert [r.metadata.resource_version for r in store.list()] == [1, rounds + 1, rounds + 1]
    assert store.revision() == 3 + 4 * rounds
    store.close()


def test_threads_of_one_process_lose_nothing(store: ResourceStore) -> None:
    store.apply(model())
    key = stored(store).key

    def work() -> None:
        for _ in range(50):
            store.record_event(key, "Normal", "Round", "all do this")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.events(key)[0].count == 200
