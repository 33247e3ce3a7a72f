"""Custom resources that this version does not understand: stored under another version of the definitions."""

from typing import Any

import pytest

from modelyard.domain.errors import InvalidInputError
from modelyard.operator.kubernetes_resources import KubernetesResources
from modelyard.operator.watch_cache import WatchCache


class FakeApi:
    """Takes every status, and remembers it."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []

    def patch(self, kind: str, namespace: str, name: str, changes: dict[str, Any]) -> None:
        """Nothing is there any more."""

    def apply(self, document: dict[str, Any], subresource: str = "") -> dict[str, Any]:
        assert subresource == "status"
        self.applied.append(document)
        metadata = document["metadata"] | {"resourceVersion": str(100 + len(self.applied))}
        return OLD | {"metadata": OLD["metadata"] | metadata, "status": document["status"]}


OLD: dict[str, Any] = {
    "apiVersion": "modelyard.io/v1alpha1",
    "kind": "Model",
    "metadata": {"name": "bot", "namespace": "team", "uid": "u1", "generation": 2, "resourceVersion": "5"},
    "spec": {"source": {"uri": "hf://a/b"}, "gone": True},
    "status": {"phase": "Ready", "servedNames": ["bot", "bot:base"]},
}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def resources(api: FakeApi) -> KubernetesResources:
    cache = WatchCache()
    cache.put(OLD)
    return KubernetesResources(api, cache, "team", lambda: "2026-11-24T18:00:00Z")  # type: ignore[arg-type]


def test_one_that_is_served_is_named_so_that_nothing_takes_it_down(resources: KubernetesResources) -> None:
    assert resources.list() == []
    assert resources.served_and_unreadable() == ["bot"]


def test_its_status_says_what_is_wrong_and_goes_on_saying_what_is_served(resources: KubernetesResources, api: FakeApi) -> None:
    key = ("Model", "team", "bot")
    with pytest.raises(InvalidInputError) as told:
        resources.find(*key)
    resources.refuse(key, str(told.value))
    (status,) = [document["status"] for document in api.applied]
    assert status["servedNames"] == ["bot", "bot:base"]
    assert status["conditions"][0]["reason"] == "InvalidSpec"
    assert "spec.gone" in status["conditions"][0]["message"]
    assert resources.served_and_unreadable() == ["bot"]


def test_saying_it_again_writes_nothing(resources: KubernetesResources, api: FakeApi) -> None:
    for _ in range(2):
        resources.refuse(("Model", "team", "bot"), "spec.gone: extra")
    assert len(api.applied) == 1


def test_one_that_was_never_served_holds_nobody_up(api: FakeApi) -> None:
    cache = WatchCache()
    cache.put(OLD | {"status": {}})
    assert KubernetesResources(api, cache, "team", lambda: "2026-11-24T18:00:00Z").served_and_unreadable() == []  # type: ignore[arg-type]


def test_one_that_turns_out_to_be_gone_is_forgotten_rather_than_worked_on(resources: KubernetesResources) -> None:
    resources.hold(("Model", "team", "bot"))
    assert resources.find("Model", "team", "bot") is None
    assert not resources.cache.put(OLD), "a late event does not bring it back"
