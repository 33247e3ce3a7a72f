import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from modelyard.domain.passage import Passage
from modelyard.retrieval.remove import main as remove
from modelyard.retrieval.store import NAME_BYTES, VectorStore

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


def passage(name: str, text: str = "text", title: str = "T") -> Passage:
    return Passage(text=text, title=title, file="docs/a.md", chunk_id=name, heading="H", start_char=3, end_char=7)


@pytest.fixture
def vectors(milvus: Any) -> Iterator[VectorStore]:
    store = VectorStore(milvus.uri)
    yield store
    store.remove("kb_x")


def fill(vectors: VectorStore, collection: str, names: list[str]) -> None:
    vectors.create(collection, 2, len(names))
    vectors.insert(collection, [passage(name) for name in names], [[1.0, float(place)] for place in range(len(names))])


def publish(vectors: VectorStore, collection: str, names: list[str]) -> None:
    fill(vectors, collection, names)
    vectors.publish(collection, "kb_x")


def found(vectors: VectorStore) -> list[str]:
    return [hit.chunk_id for hit in vectors.search("kb_x", [1.0, 0.0], 10)]


def test_a_search_returns_whole_passages_best_first(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_1", ["near", "far"])
    first, second = vectors.search("kb_x", [2.0, 0.0], 5)
    assert first == passage("near").model_copy(update={"score": pytest.approx(1.0)})
    assert (second.chunk_id, second.score) == ("far", pytest.approx(0.5**0.5))
    assert len(vectors.search("kb_x", [1.0, 0.0], 1)) == 1


def test_rows_that_were_just_written_are_found(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_1", ["a"])
    vectors.insert("kb_x_1", [passage("b")], [[1.0, 0.0]])
    assert sorted(found(vectors)) == ["a", "b"]


def test_nothing_is_seen_of_a_build_until_it_is_published(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_1", ["old"])
    fill(vectors, "kb_x_2", ["new"])
    assert found(vectors) == ["old"]
    assert vectors.published("kb_x") == ("kb_x_1", 1)
    vectors.publish("kb_x_2", "kb_x")
    assert found(vectors) == ["new"]
    assert vectors.published("kb_x") == ("kb_x_2", 1)


def test_publishing_drops_the_others_of_that_alias_only(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_1", ["a"])
    fill(vectors, "kb_x_dead", ["a crashed build"])
    fill(vectors, "kb_xy_1", ["another alias"])
    vectors.publish("kb_xy_1", "kb_xy")
    publish(vectors, "kb_x_2", ["b"])
    assert vectors.published("kb_xy") == ("kb_xy_1", 1)
    with pytest.raises(NotFoundError):
        vectors.insert("kb_x_dead", [passage("a")], [[1.0, 0.0]])
    vectors.remove("kb_xy")


def test_an_unfinished_build_is_made_anew(vectors: VectorStore) -> None:
    fill(vectors, "kb_x_1", ["left", "over"])
    publish(vectors, "kb_x_1", ["whole"])
    assert found(vectors) == ["whole"]


def test_readers_see_one_whole_index_or_the_other(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_0", ["0a", "0b", "0c"])
    seen: list[set[str]] = []
    problems: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        reader = VectorStore(vectors.uri)
        while not done.is_set():
            try:
                seen.append(set(found(reader)))
            except Exception as error:
                problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for build in range(1, 6):
        publish(vectors, f"kb_x_{build}", [f"{build}a", f"{build}b", f"{build}c"])
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {frozenset(names) for names in seen} <= {frozenset({f"{build}a", f"{build}b", f"{build}c"}) for build in range(6)}


def test_large_collections_have_a_graph_that_is_used_after_publishing(vectors: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.retrieval.store.EXACT_BELOW", 1)
    publish(vectors, "kb_x_1", ["a", "b", "c"])
    assert found(vectors) == ["a", "b", "c"]


def test_names_that_are_too_long_are_cut_between_characters(vectors: VectorStore) -> None:
    vectors.create("kb_x_1", 2, 1)
    vectors.insert("kb_x_1", [passage("a", title="€" * NAME_BYTES)], [[1.0, 0.0]])
    vectors.publish("kb_x_1", "kb_x")
    (hit,) = vectors.search("kb_x", [1.0, 0.0], 1)
    assert hit.title == "€" * (NAME_BYTES // 3)


def test_a_vector_of_another_length_is_refused_in_words(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_1", ["a"])
    with pytest.raises(InvalidInputError, match="vectors of 2 dimensions and the embedding model makes 3"):
        vectors.search("kb_x", [1.0, 0.0, 0.0], 1)


def test_an_unknown_alias_is_not_found(vectors: VectorStore) -> None:
    assert vectors.published("kb_x") is None
    with pytest.raises(NotFoundError, match="kb_x is not in http://127.0.0.1.*until it is Ready"):
        vectors.search("kb_x", [1.0, 0.0], 1)


def test_a_removed_index_leaves_nothing_and_can_be_removed_again(vectors: VectorStore) -> None:
    publish(vectors, "kb_x_1", ["a"])
    fill(vectors, "kb_x_2", ["unfinished"])
    for _ in range(2):
        assert remove(["--milvus-uri", vectors.uri, "--alias", "kb_x"]) == 0
    assert vectors.published("kb_x") is None
    for collection in ("kb_x_1", "kb_x_2"):
        with pytest.raises(NotFoundError):
            vectors.insert(collection, [passage("a")], [[1.0, 0.0]])


def test_a_milvus_that_is_away_is_named_and_the_command_fails(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnavailableError, match=f"Milvus at {NOBODY} does not answer"):
        VectorStore(NOBODY).search("kb_x", [1.0], 1)
    assert remove(["--milvus-uri", NOBODY, "--alias", "kb_x"]) == 1
    assert NOBODY in caplog.text


def test_the_store_goes_on_when_milvus_comes_back(milvus_of_its_own: Any) -> None:
    vectors = VectorStore(milvus_of_its_own.uri)
    publish(vectors, "kb_x_1", ["a"])
    milvus_of_its_own.stop()
    with pytest.raises(UnavailableError, match="does not answer"):
        found(vectors)
    milvus_of_its_own.start()
    assert found(vectors) == ["a"]


@pytest.fixture
def milvus_of_its_own(milvus: Any, tmp_path: Path) -> Iterator[Any]:
    server = type(milvus)(tmp_path)
    yield server
    server.stop()
