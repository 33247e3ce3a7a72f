"""Events that come late, twice, out of order or not at all."""

from typing import Any

import pytest

from modelyard.operator.watch_cache import WatchCache


def model(version: int, name: str = "bot", namespace: str = "team") -> dict[str, Any]:
    return {"kind": "Model", "metadata": {"name": name, "namespace": namespace, "resourceVersion": str(version)}}


def version_in(cache: WatchCache, name: str = "bot") -> int | None:
    found = cache.get("Model", "team", name)
    return int(found["metadata"]["resourceVersion"]) if found else None


@pytest.mark.parametrize(
    ("events", "known"),
    [
        pytest.param([("put", 5)], 5, id="it is new"),
        pytest.param([("put", 5), ("put", 7)], 7, id="it changed"),
        pytest.param([("put", 7), ("put", 5)], 7, id="an older event comes late"),
        pytest.param([("put", 5), ("put", 5)], 5, id="the same event comes twice"),
        pytest.param([("put", 5), ("drop", 6)], None, id="it is gone"),
        pytest.param([("put", 5), ("drop", 6), ("put", 5)], None, id="an event from before its end comes late"),
        pytest.param([("put", 5), ("put", 8), ("drop", 6)], 8, id="the end of a namesake comes late"),
        pytest.param([("put", 5), ("drop", 6), ("put", 8)], 8, id="it was made again"),
    ],
)
def test_only_what_is_newer_counts(events: list[tuple[str, int]], known: int | None) -> None:
    cache = WatchCache()
    for act, version in events:
        getattr(cache, act)(model(version))
    assert version_in(cache) == known


def test_a_change_is_told_once() -> None:
    cache = WatchCache()
    assert [cache.put(model(5)), cache.put(model(5)), cache.drop(model(6)), cache.drop(model(6))] == [True, False, True, False]


def test_a_list_heals_what_watches_have_missed() -> None:
    cache = WatchCache()
    for version, name in ((3, "stays"), (4, "lost its deletion"), (20, "was made after the list")):
        cache.put(model(version, name))
    changed = cache.replace("Model", [model(3, "stays"), model(9, "lost its creation")], 10)
    assert set(changed) == {("Model", "team", "lost its deletion"), ("Model", "team", "lost its creation")}
    assert {document["metadata"]["name"] for document in cache.list("Model")} == {"stays", "lost its creation", "was made after the list"}


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    cache = WatchCache()
    cache.put(model(3, namespace="other"))
    assert cache.replace("Model", [], 10, "team") == []
    assert cache.get("Model", "other", "bot") is not None


def test_what_a_list_no_longer_has_is_not_brought_back_by_a_late_event() -> None:
    cache = WatchCache()
    cache.put(model(3))
    cache.replace("Model", [], 10)
    assert not cache.put(model(4))
    assert cache.put(model(11))


def version_of_model(version: int, name: str, model: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "resourceVersion": str(version)}
    return {"kind": "ModelVersion", "metadata": metadata, "spec": {"model": model}}


def test_what_belongs_to_a_model_is_found_by_it_whatever_happens_to_it() -> None:
    cache = WatchCache()

    def names(model: str) -> list[str]:
        return sorted(document["metadata"]["name"] for document in cache.list_of_model("ModelVersion", "team", model))

    for version, name, of in ((1, "bot-a", "bot"), (2, "bot-b", "bot"), (3, "cat-a", "cat"), (4, "bot-a", "bot")):
        cache.put(version_of_model(version, name, of))
    assert (names("bot"), names("cat"), names("")) == (["bot-a", "bot-b"], ["cat-a"], [])
    assert {document["metadata"]["resourceVersion"] for document in cache.list_of_model("ModelVersion", "team", "bot")} == {"4", "2"}
    cache.put(version_of_model(5, "bot-b", "cat"))
    cache.drop(version_of_model(6, "bot-a", "bot"))
    assert (names("bot"), names("cat")) == ([], ["bot-b", "cat-a"])
    cache.replace("ModelVersion", [], 10)
    assert (names("bot"), names("cat")) == ([], [])
    cache.put({"kind": "Model", "metadata": {"name": "bot", "namespace": "team", "resourceVersion": "11"}})
    assert names("") == []
