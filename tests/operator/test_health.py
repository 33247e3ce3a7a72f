"""What the kubelet's probes are told."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from modelyard.operator.health import HealthServer


@pytest.fixture
def wrong() -> dict[str, str]:
    return {"": ""}


@pytest.fixture
def server(wrong: dict[str, str]) -> Iterator[HealthServer]:
    server = HealthServer(0, {"/healthz": lambda: "", "/readyz": lambda: wrong[""]})
    server.start()
    yield server
    server.stop()


def ask(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("path", "problem", "answer"),
    [
        pytest.param("/healthz", "", (200, "ok\n"), id="alive"),
        pytest.param("/readyz", "", (200, "ok\n"), id="ready"),
        pytest.param("/readyz", "waiting for the API server", (503, "waiting for the API server\n"), id="not ready, and why"),
        pytest.param("/healthz", "waiting for the API server", (200, "ok\n"), id="alive while it is not ready"),
        pytest.param("/nothing", "", (404, "there is /healthz, /readyz\n"), id="another path is told which there are"),
    ],
)
def test_each_path_answers_for_itself(
    server: HealthServer, wrong: dict[str, str], path: str, problem: str, answer: tuple[int, str]
) -> None:
    wrong[""] = problem
    assert ask(server, path) == answer
