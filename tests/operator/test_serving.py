"""What Serve's REST API says, in our words."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from modelyard.domain.errors import UnavailableError
from modelyard.domain.observed import AppSeen
from modelyard.operator.serving import LocalServing


class FakeServe:
    """Serve's REST client."""

    def __init__(self, applications: dict[str, Any] | None = None, error: Exception | None = None) -> None:
        self.applications, self.error, self.deployed = applications or {}, error, []

    def deploy_applications(self, config: dict[str, Any]) -> None:
        if self.error:
            raise self.error
        self.deployed.append(config)

    def get_serve_details(self) -> dict[str, Any]:
        if self.error:
            raise self.error
        return {"applications": self.applications}


class Ready(BaseHTTPRequestHandler):
    """A gateway that says it is ready."""

    asked = 0

    def do_GET(self) -> None:
        Ready.asked += 1
        body = json.dumps({"models": ["bot", "bot:base"], "knowledgeBases": ["docs"], "problems": {"pal": "no room"}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def gateway_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Ready)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("application", "seen"),
    [
        pytest.param({"status": "RUNNING", "message": ""}, AppSeen("running"), id="running"),
        pytest.param({"status": "DEPLOYING", "message": ""}, AppSeen("deploying"), id="on its way"),
        pytest.param(
            {"status": "DEPLOY_FAILED", "message": "Traceback …\n  line\nMemoryError: no room\n"},
            AppSeen("failed", "MemoryError: no room"),
            id="a traceback is cut down to its cause",
        ),
        pytest.param(
            {"status": "UNHEALTHY", "message": "", "deployments": {"Engine": {"message": "replica died"}}},
            AppSeen("failed", "replica died"),
            id="the cause may stand with the deployment",
        ),
    ],
)
def test_applications(application: dict[str, Any], seen: AppSeen, gateway_url: str) -> None:
    observed = LocalServing(FakeServe({"gateway": application}), gateway_url).observe()
    assert observed.apps == {"gateway": seen}
    assert observed.answering == {"bot", "bot:base", "docs"}
    assert observed.problems == {"pal": "no room"}


def test_a_gateway_that_does_not_listen_answers_nothing() -> None:
    serve = FakeServe({"gateway": {"status": "DEPLOYING"}})
    assert LocalServing(serve, "http://127.0.0.1:9").observe().answering == frozenset()


@pytest.mark.parametrize(
    ("routes", "asked"),
    [
        pytest.param(["bot", "bot:base"], 1, id="all that is wanted answers: asked rarely"),
        pytest.param(["bot", "new"], 3, id="something is still missing: asked on every pass"),
    ],
)
def test_how_often_the_gateway_is_asked(routes: list[str], asked: int, gateway_url: str) -> None:
    serving = LocalServing(FakeServe({"gateway": {"status": "RUNNING"}}), gateway_url)
    told = {"routes": [{"name": name} for name in routes], "knowledgeBases": []}
    serving.apply({"applications": [{"name": "gateway", "deployments": [{"user_config": told}]}]})
    before = Ready.asked
    for _ in range(3):
        serving.observe()
    assert Ready.asked - before == asked


@pytest.mark.parametrize("error", [requests.ConnectionError("refused"), RuntimeError("status code 500")], ids=["refused", "broken"])
def test_a_ray_that_is_away_is_unavailable_not_a_crash(error: Exception) -> None:
    serving = LocalServing(FakeServe(error=error), "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="Ray Serve does not answer"):
        serving.observe()
    with pytest.raises(UnavailableError, match="did not take the config"):
        serving.apply({})
