"""What kopf is told to do, and not to do."""

import threading
from collections.abc import Iterable
from typing import Any

import kopf
import pytest

from modelyard.operator.controller import WATCHED
from modelyard.operator.discovery import Discovery
from modelyard.operator.handlers import Watches, build_registry, build_settings


def test_every_watched_kind_has_one_handler_and_none_that_writes() -> None:
    registry = build_registry(lambda event, document: None)
    assert sorted(handler.id for handler in registry._watching.get_all_handlers()) == sorted(WATCHED)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []


def test_kopf_writes_nothing_and_looks_at_nothing_that_takes_rights_over_the_cluster() -> None:
    settings = build_settings()
    assert (settings.posting.enabled, settings.peering.standalone, settings.scanning.disabled) == (False, True, True)
    assert isinstance(settings.networking.error_backoffs, tuple)
    assert sum(settings.networking.error_backoffs) > 12 * 3600, "a listing that fails is tried for as long as an outage may take"


def test_kopf_keeps_nothing_of_an_object() -> None:
    kept = build_settings().persistence
    body = kopf.Body({"metadata": {"labels": {"a": "b"}}, "spec": {"large": ["x"] * 1000}})
    essence = kept.diffbase_storage.build(body=body)
    assert (essence, kept.progress_storage.clear(essence=essence), kept.diffbase_storage.fetch(body=body)) == ({}, {}, None)


class FakeDiscovery(Discovery):
    """An API server to which kinds come while it is asked."""

    def __init__(self, *answers: set[str]) -> None:
        self.answers = list(answers)

    def missing(self, kinds: Iterable[str]) -> set[str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What kopf was begun with. It is the one part that cannot be passed in: its module function is the interface."""
    begun: list[dict[str, Any]] = []

    async def run(**words: Any) -> None:
        begun.append(words)
        await words["stop_flag"].wait()

    monkeypatch.setattr(kopf, "operator", run)
    monkeypatch.setattr("modelyard.operator.handlers.LOOK_FOR_KINDS_S", 0.01)
    return begun


def await_rounds(rounds: list[dict[str, Any]], count: int) -> None:
    tick = threading.Event()
    for _ in range(500):
        if len(rounds) >= count:
            return
        tick.wait(0.02)
    raise AssertionError(rounds)


@pytest.mark.parametrize(
    ("namespaces", "clusterwide"),
    [
        pytest.param([], True, id="no namespace means all"),
        pytest.param(["a", "b"], False, id="some are watched one by one"),
    ],
)
def test_kopf_watches_what_the_settings_say(rounds: list[dict[str, Any]], namespaces: list[str], clusterwide: bool) -> None:
    watches = Watches(lambda event, document: None, FakeDiscovery(set()), namespaces)
    assert watches.answers(), "before the start nothing is wrong"
    watches.start()
    await_rounds(rounds, 1)
    assert watches.answers()
    watches.stop()
    watches.stop()
    assert [(words["clusterwide"], words["namespaces"]) for words in rounds] == [(clusterwide, namespaces)]
    assert not watches.answers()


def test_it_begins_anew_when_a_kind_comes(rounds: list[dict[str, Any]]) -> None:
    watches = Watches(lambda event, document: None, FakeDiscovery({"RayJob"}, {"RayJob"}, set()), [])
    watches.start()
    await_rounds(rounds, 2)
    watches.stop()
    assert len(rounds) == 2


def test_it_waits_while_no_kind_is_there(rounds: list[dict[str, Any]]) -> None:
    watches = Watches(lambda event, document: None, FakeDiscovery(set(WATCHED), set(WATCHED), set()), [])
    watches.start()
    await_rounds(rounds, 1)
    watches.stop()
    assert len(rounds) == 1
