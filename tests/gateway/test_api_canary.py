"""A gateway in the midst of a rollout."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.gateway.asking import ADAPTER, HELLO, FakeBackend, ask

from modelyard.domain.chat import ErrorEvent
from modelyard.domain.figures import VersionFigures
from modelyard.domain.serving import Canary, GatewayConfig, Route
from modelyard.gateway.api import build_api
from modelyard.gateway.canary import choose_version
from modelyard.gateway.directory import Directory

CANARY = Canary(version="helper-2", engine="engine-1", adapter="b" * 64, weight=50)
ROLLING = GatewayConfig(
    routes=[
        Route(name="helper", engine="engine-1", adapter=ADAPTER, version="helper-1", canary=CANARY),
        Route(name="helper:1", engine="engine-1", adapter=ADAPTER, version="helper-1"),
        Route(name="helper:2", engine="engine-1", adapter="b" * 64, version="helper-2"),
        Route(name="helper:base", engine="engine-1"),
    ]
)


@pytest.fixture
def chances() -> list[float]:
    """What the next requests of unknown clients draw."""
    return []


@pytest.fixture
def rolling(backend: FakeBackend, chances: list[float]) -> TestClient:
    """A gateway in the midst of a rollout."""
    return TestClient(build_api(backend, lambda: Directory(ROLLING), chance=lambda: chances.pop(0)), raise_server_exceptions=False)


def version_of(response: Any) -> str | None:
    return response.headers.get("x-modelyard-version")


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="streamed")])
def test_a_share_of_the_requests_goes_to_the_version_that_takes_over(
    rolling: TestClient, backend: FakeBackend, chances: list[float], stream: bool
) -> None:
    chances += [0.49, 0.5]
    assert [version_of(ask(rolling, stream=stream)) for _ in range(2)] == ["helper-2", "helper-1"]
    assert [request["adapter"] for request in backend.requests] == ["b" * 64, ADAPTER]


def test_a_version_that_is_named_is_not_left_to_chance(rolling: TestClient) -> None:
    assert [version_of(ask(rolling, model=name)) for name in ("helper:1", "helper:2", "helper:base")] == ["helper-1", "helper-2", None]


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        pytest.param({"user": "someone"}, {}, id="by user"),
        pytest.param({}, {"x-session-id": "someone"}, id="by session"),
        pytest.param({"user": "someone"}, {"x-session-id": "else"}, id="the user wins"),
    ],
)
def test_a_client_that_is_known_stays_with_its_version(rolling: TestClient, fields: dict[str, Any], headers: dict[str, str]) -> None:
    body = {"model": "helper", "messages": HELLO, **fields}
    seen = {version_of(rolling.post("/v1/chat/completions", json=body, headers=headers)) for _ in range(5)}
    expected = choose_version(ROLLING.routes[0], "someone", lambda: 0.0).version
    assert seen == {expected}


def test_an_error_tells_the_version_too(rolling: TestClient, backend: FakeBackend) -> None:
    backend.events = [ErrorEvent(reason="unavailable", message="vLLM ended")]
    response = ask(rolling, model="helper:2")
    assert (response.status_code, version_of(response)) == (503, "helper-2")


def test_the_models_are_listed_as_without_a_rollout(rolling: TestClient) -> None:
    assert [model["id"] for model in rolling.get("/v1/models").json()["data"]] == ["helper", "helper:1", "helper:2", "helper:base"]


def test_figures_are_kept_by_version(rolling: TestClient, backend: FakeBackend, chances: list[float]) -> None:
    assert "versions" not in rolling.get("/ready").json()
    chances += [0.9]
    ask(rolling)
    ask(rolling, model="helper:base")
    backend.events[2] = ErrorEvent(reason="unavailable", message="vLLM ended")
    ask(rolling, model="helper:2", stream=True)
    ask(rolling, model="helper:2")
    versions = rolling.get("/ready").json()["versions"]
    assert {name: (counts["requests"], counts["errors"], sum(counts["ttft"])) for name, counts in versions.items()} == {
        "helper-1": (1, 0, 1),
        "helper-2": (2, 2, 2),
    }
    assert VersionFigures.model_validate(versions["helper-2"]).figure("error_rate") == 1.0
    text = rolling.get("/metrics").text
    assert 'modelyard_version_requests_total{status="200",version="helper-1"} 1.0' in text
    assert 'modelyard_version_requests_total{status="503",version="helper-2"} 2.0' in text
    assert 'modelyard_version_request_seconds_count{version="helper-2"} 2.0' in text
    assert 'modelyard_version_time_to_first_token_seconds_count{version="helper-2"} 2.0' in text
