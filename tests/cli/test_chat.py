import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import Result

from modelyard.operator.settings import Settings


@dataclass
class Endpoint:
    """Answers like the platform: one canned answer, streamed word by word."""

    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=lambda: ["Ask ", "the ", "desk [1]."])
    extra: dict[str, Any] = field(default_factory=dict)
    refusal: tuple[int, dict[str, Any]] | None = None

    def events(self) -> Iterator[dict[str, Any]]:
        base = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "bot"}
        for word in self.words:
            yield base | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
        yield base | {"choices": [], **self.extra}


@pytest.fixture
def endpoint(world) -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            endpoint.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if endpoint.refusal:
                self.answer(endpoint.refusal[0], "application/json", json.dumps(endpoint.refusal[1]))
            else:
                lines = [json.dumps(event) for event in endpoint.events()] + ["[DONE]"]
                self.answer(200, "text/event-stream", "".join(f"data: {line}\n\n" for line in lines))

        def answer(self, status: int, kind: str, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint.port = server.server_port
        world.settings = Settings(home=world.settings.home, port=server.server_port)
        yield endpoint
        server.shutdown()
        thread.join()


def test_an_answer_is_printed(run: Callable[..., Result], endpoint: Endpoint) -> None:
    result = run("chat", "bot", "Who helps?", "--system", "Be brief.", "--max-tokens", "20")
    assert (result.exit_code, result.output) == (0, "Ask the desk [1].\n")
    (asked,) = endpoint.asked
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who helps?"}]
    assert (asked["model"], asked["stream"], asked["temperature"], asked["max_tokens"]) == ("bot", True, 0.0, 20)
    assert "tools" not in asked


def test_citations_follow_the_answer(run: Callable[..., Result], endpoint: Endpoint) -> None:
    endpoint.extra = {"citations": [{"index": 1, "file": "help.md", "text": "The desk\nhelps [always]."}], "grounded": True}
    result = run("chat", "bot", "Who helps?", "--kb", "docs")
    assert result.output == "Ask the desk [1].\n[1] help.md: The desk helps [always].\n"
    assert endpoint.asked[0]["tools"] == [{"type": "file_search", "vector_store_ids": ["docs"]}]


@pytest.mark.parametrize(
    ("extra", "warning"),
    [
        pytest.param({}, "the answer cites nothing from the knowledge base", id="no citation"),
        pytest.param(
            {"citations": [{"index": 1, "file": "f", "text": "t"}], "grounded": False},
            "part of the answer is not supported by what it cites",
            id="a sentence without support",
        ),
    ],
)
def test_an_answer_without_ground_is_flagged(run: Callable[..., Result], endpoint: Endpoint, extra: dict[str, Any], warning: str) -> None:
    endpoint.extra = extra
    assert run("chat", "bot", "Who helps?", "--kb", "docs").stderr == f"warning: {warning}\n"


def test_the_question_may_come_from_standard_input(run: Callable[..., Result], endpoint: Endpoint) -> None:
    run("chat", "bot", input="Who\nhelps?\n")
    assert endpoint.asked[0]["messages"] == [{"role": "user", "content": "Who\nhelps?\n"}]
    assert run("chat", "bot", input=" \n").stderr == 'error: there is no question; give one: modelyard chat MODEL "…"\n'


def test_a_model_that_is_not_served(run: Callable[..., Result], endpoint: Endpoint) -> None:
    endpoint.refusal = (404, {"error": {"message": "there are bot, bot:base", "type": "invalid_request_error", "code": "model_not_found"}})
    result = run("chat", "bott", "Who helps?")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: http://127.0.0.1:{endpoint.port}/v1 has no model 'bott': there are bot, bot:base; "
        "`modelyard get models -o wide` lists what is served\n"
    )


def test_an_error_of_the_endpoint(run: Callable[..., Result], endpoint: Endpoint) -> None:
    endpoint.refusal = (400, {"error": {"message": "the prompt has 5000 tokens and the model takes 2048", "type": "invalid_request_error"}})
    result = run("chat", "bot", "Who helps?")
    assert result.stderr == "error: bot gave no answer: the prompt has 5000 tokens and the model takes 2048; see `modelyard status`\n"


def test_no_endpoint(run: Callable[..., Result], world) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port  # free once more after this
    world.settings = Settings(home=world.settings.home, port=port)
    result = run("chat", "bot", "Who helps?")
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: http://127.0.0.1:{port}/v1 does not answer; run `modelyard up`, or see `modelyard status`\n",
    )
