import base64
import json
import struct
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.chat import ErrorEvent, StartEvent, TextEvent
from modelyard.domain.errors import UnavailableError
from modelyard.domain.figures import VersionFigures
from modelyard.domain.passage import Passage
from modelyard.domain.serving import Canary, EmbeddingRoute, GatewayConfig, KnowledgeBaseRoute, Route
from modelyard.gateway.api import build_api
from modelyard.gateway.canary import choose_version
from modelyard.gateway.directory import Directory

ADAPTER, EMBEDDER = "a" * 64, "e" * 64
CONFIG = GatewayConfig(
    routes=[
        Route(name="helper", engine="engine-1", adapter=ADAPTER, owner="default/helper", created=5),
        Route(name="helper:base", engine="engine-1", owner="default/helper", created=5),
        Route(name="away", engine="engine-2"),
    ],
    knowledge_bases=[KnowledgeBaseRoute(name="docs", alias="kb_docs", embedding_digest=EMBEDDER)],
    embeddings=[EmbeddingRoute(name="minilm", digest=EMBEDDER)],
)
PASSAGE = Passage(
    text="A lambda expression yields a function object. It has no name.",
    title="Expressions",
    file="ref/lambda.txt",
    chunk_id="1",
    score=0.9,
)
HELLO = [{"role": "user", "content": "hello"}]


class FakeBackend:
    """Answers with fixed words and remembers what it was asked."""

    def __init__(self) -> None:
        self.events = [StartEvent(prompt_tokens=7), TextEvent(text="Hel", tokens=1), TextEvent(text="lo.", tokens=2, finish_reason="stop")]
        self.requests: list[dict[str, Any]] = []
        self.searches: list[tuple[str, str, int | None]] = []
        self.passages = [PASSAGE]
        self.closed = 0

    async def chat(self, engine: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        if engine != "engine-1":
            raise UnavailableError(f"{engine} does not answer", "try again")
        self.requests.append(request)
        try:
            for event in self.events:
                yield event.wire()
        finally:
            self.closed += 1

    async def status(self, engine: str) -> dict[str, Any]:
        if engine != "engine-1":
            raise UnavailableError(f"{engine} does not answer", "try again")
        return {"adapters": [ADAPTER], "problems": {}}

    async def search(self, route: KnowledgeBaseRoute, query: str, top_k: int | None) -> list[Passage]:
        self.searches.append((route.name, query, top_k))
        return self.passages

    async def embed(self, digest: str, texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 0.5] for text in texts]


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> TestClient:
    return TestClient(build_api(backend, lambda: Directory(CONFIG)), raise_server_exceptions=False)


def ask(client: TestClient, **fields: Any) -> Any:
    return client.post("/v1/chat/completions", json={"model": "helper", "messages": HELLO, **fields})


def events_of(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_lists_every_name_that_a_client_may_write(client: TestClient) -> None:
    models = client.get("/v1/models").json()
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]] == ["helper", "helper:base", "away", "minilm"]
    assert models["data"][0] == {"id": "helper", "object": "model", "created": 5, "owned_by": "default/helper"}


def test_shows_one_model(client: TestClient) -> None:
    assert client.get("/v1/models/helper:base").json()["id"] == "helper:base"


def test_answers_whole(client: TestClient, backend: FakeBackend) -> None:
    completion = ask(client).json()
    assert completion["object"] == "chat.completion" and completion["model"] == "helper"
    assert completion["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert completion["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert "citations" not in completion
    assert backend.requests[0]["adapter"] == ADAPTER


def test_streams_chunks_with_one_id_and_ends_with_done(client: TestClient) -> None:
    response = ask(client, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events_of(response.text)
    assert done == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1 and {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo."},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    assert all("usage" not in chunk for chunk in chunks)


def test_streams_usage_last_when_asked(client: TestClient) -> None:
    *chunks, usage, _ = events_of(ask(client, stream=True, stream_options={"include_usage": True}).text)
    assert usage["choices"] == [] and usage["usage"]["total_tokens"] == 10
    assert all(chunk["usage"] is None for chunk in chunks)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"max_tokens": 5}, {"maxTokens": 5}, id="max_tokens"),
        pytest.param({"max_completion_tokens": 6, "max_tokens": 5}, {"maxTokens": 6}, id="the new name wins over the old"),
        pytest.param({"temperature": 0, "top_p": 0.5, "seed": 3}, {"temperature": 0.0, "topP": 0.5, "seed": 3}, id="sampling"),
        pytest.param({}, {"temperature": 1.0, "topP": 1.0, "stop": []}, id="OpenAI's defaults"),
        pytest.param({"stop": "x"}, {"stop": ["x"]}, id="one stop string"),
        pytest.param({"stop": ["x", "y"]}, {"stop": ["x", "y"]}, id="several stop strings"),
        pytest.param({"stop": None, "n": None, "tools": None, "max_tokens": None}, {"stop": []}, id="null is as good as missing"),
        pytest.param({"user": "me", "logit_bias": {}, "made_up": 1}, {"temperature": 1.0}, id="unknown fields are ignored"),
        pytest.param(
            {"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
            {"messages": [{"role": "system", "content": "a\nb"}]},
            id="parts are joined, and developer is system",
        ),
    ],
)
def test_hands_the_request_to_the_engine(
    client: TestClient, backend: FakeBackend, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert ask(client, **fields).status_code == 200
    assert {key: backend.requests[0].get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        pytest.param({"messages": []}, "messages", "at least 1 item", id="no messages"),
        pytest.param({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role", "Input should be", id="an unknown role"),
        pytest.param({"messages": "hello"}, "messages", "valid list", id="messages that are a string"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content.0.type",
            "should be 'text'",
            id="an image",
        ),
        pytest.param({"max_tokens": "many"}, "max_tokens", "valid integer", id="a limit in words"),
        pytest.param({"max_tokens": "5"}, "max_tokens", "valid integer", id="a limit as a string"),
        pytest.param({"max_tokens": 0}, "max_tokens", "greater than or equal to 1", id="no tokens"),
        pytest.param({"temperature": 3}, "temperature", "less than or equal to 2", id="too hot"),
        pytest.param({"stop": 5}, "stop", "valid", id="a stop that is a number"),
        pytest.param({"n": 2}, None, "only 1 is served; send the request 2 times", id="two answers"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "only type 'file_search'", id="a function tool"
        ),
        pytest.param({"stream": "yes"}, "stream", "valid boolean", id="stream in words"),
        pytest.param({"model": None}, "model", "valid string", id="no model"),
    ],
)
def test_refuses_in_openais_shape(client: TestClient, fields: dict[str, Any], param: str | None, message: str) -> None:
    response = ask(client, **fields)
    error = response.json()["error"]
    assert response.status_code == 400
    assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
    assert error["param"] == param and message in error["message"]


def test_refuses_what_is_not_json(client: TestClient) -> None:
    response = client.post("/v1/chat/completions", content="{", headers={"content-type": "application/json"})
    assert response.status_code == 400 and "not JSON" in response.json()["error"]["message"]


def test_an_unknown_model_is_404_with_the_list(client: TestClient) -> None:
    response = ask(client, model="gpt-4")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert response.json()["error"]["message"] == "there is no model 'gpt-4'; there are: away, helper, helper:base"


def test_an_unknown_path_is_404_in_openais_shape(client: TestClient) -> None:
    response = client.get("/v1/nothing")
    assert response.status_code == 404 and "/v1/nothing" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="streamed")])
def test_an_engine_that_is_away_is_503_with_retry_after(client: TestClient, stream: bool) -> None:
    response = ask(client, model="away", stream=stream)
    assert response.status_code == 503 and int(response.headers["retry-after"]) > 0
    assert "engine-2 does not answer" in response.json()["error"]["message"]


@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="streamed")])
def test_a_prompt_that_is_too_long_is_400_before_any_stream(client: TestClient, backend: FakeBackend, stream: bool) -> None:
    backend.events = [ErrorEvent(reason="invalid", code="context_length_exceeded", message="the prompt has 9 tokens and the model holds 8")]
    response = ask(client, stream=stream)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"
    assert "9 tokens and the model holds 8" in response.json()["error"]["message"]


def test_an_engine_that_dies_midway_ends_the_stream_with_an_error_and_no_done(client: TestClient, backend: FakeBackend) -> None:
    backend.events[2] = ErrorEvent(reason="unavailable", message="vLLM ended")
    *_, last = events_of(ask(client, stream=True).text)
    assert last["error"]["message"] == "vLLM ended"
    assert 'modelyard_requests_total{model="helper",status="503"} 1.0' in client.get("/metrics").text


def test_the_engines_stream_is_closed_after_an_answer(client: TestClient, backend: FakeBackend) -> None:
    ask(client, stream=True)
    ask(client)
    assert backend.closed == 2


def test_grounds_an_answer_in_a_knowledge_base(client: TestClient, backend: FakeBackend) -> None:
    backend.events[1:] = [TextEvent(text="A lambda expression yields a function object.", tokens=9, finish_reason="stop")]
    question = [{"role": "user", "content": "What does a lambda yield?"}]
    tool = {"type": "file_search", "vector_store_ids": ["docs"], "max_num_results": 3}
    completion = ask(client, model="helper:base", messages=question, tools=[tool]).json()
    message = completion["choices"][0]["message"]
    assert backend.searches == [("docs", "What does a lambda yield?", 3)]
    assert PASSAGE.text in backend.requests[0]["messages"][-1]["content"]
    assert backend.requests[0]["temperature"] == 0.0
    assert message["content"] == "A lambda expression yields a function object. [1]"
    assert message["annotations"][0]["file_id"] == "ref/lambda.txt"
    assert completion["citations"] == [
        {"index": 1, "file": "ref/lambda.txt", "title": "Expressions", "heading": "", "score": 0.9, "text": PASSAGE.text}
    ]
    assert completion["grounded"] is True


def test_streams_a_grounded_answer_with_its_marks_and_the_citations_at_the_end(client: TestClient, backend: FakeBackend) -> None:
    words = ["A lambda ", "expression yields ", "a function ", "object. It ", "has no name."]
    backend.events[1:] = [TextEvent(text=word, tokens=2) for word in words]
    tool = {"type": "file_search", "vector_store_ids": ["docs"]}
    *chunks, _ = events_of(ask(client, tools=[tool], stream=True).text)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == "A lambda expression yields a function object. [1] It has no name. [1]"
    last = chunks[-1]
    assert len(last["choices"][0]["delta"]["annotations"]) == 2
    assert [citation["index"] for citation in last["citations"]] == [1] and last["grounded"] is True
    assert all(text[annotation["index"] :].startswith("[1]") for annotation in last["choices"][0]["delta"]["annotations"])


def test_an_answer_without_any_passage_has_no_citations(client: TestClient, backend: FakeBackend) -> None:
    backend.passages = []
    completion = ask(client, tools=[{"type": "file_search", "vector_store_ids": ["docs"]}]).json()
    assert completion["citations"] == [] and completion["grounded"] is False
    assert completion["choices"][0]["message"]["annotations"] == []


def test_an_unknown_knowledge_base_is_404_with_the_list(client: TestClient) -> None:
    response = ask(client, tools=[{"type": "file_search", "vector_store_ids": ["wiki"]}])
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "there is no knowledge base 'wiki'; there are: docs"


@pytest.mark.parametrize("given", [pytest.param("abc", id="one string"), pytest.param(["abc", "x"], id="a list")])
def test_embeds_texts(client: TestClient, given: Any) -> None:
    response = client.post("/v1/embeddings", json={"model": "minilm", "input": given}).json()
    vectors = [entry["embedding"] for entry in response["data"]]
    assert vectors[0] == [3.0, 0.5] and len(vectors) == (1 if given == "abc" else 2)
    assert [entry["index"] for entry in response["data"]] == list(range(len(vectors)))


def test_embeds_as_little_endian_floats_in_base64(client: TestClient) -> None:
    body = {"model": "minilm", "input": "abc", "encoding_format": "base64"}
    encoded = client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(encoded)) == (3.0, 0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"input": [1, 2]}, "token ids belong to another model's tokenizer", id="token ids"),
        pytest.param({"input": [[1, 2]]}, "token ids belong to another model's tokenizer", id="several texts as token ids"),
        pytest.param({"input": []}, "send at least 1 text", id="nothing"),
        pytest.param({"encoding_format": "hex"}, "'float' or 'base64'", id="an unknown encoding"),
        pytest.param({"dimensions": 3}, "dimensions is 3 and minilm has 2", id="another size"),
    ],
)
def test_refuses_embeddings_with_the_remedy(client: TestClient, fields: dict[str, Any], message: str) -> None:
    response = client.post("/v1/embeddings", json={"model": "minilm", "input": "x", **fields})
    assert response.status_code == 400 and message in response.json()["error"]["message"]


def test_says_what_answers(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"models": ["helper", "helper:base"], "knowledgeBases": ["docs"], "problems": {}}


def test_every_response_carries_the_request_id(client: TestClient) -> None:
    assert client.get("/health", headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    assert ask(client, model="gpt-4").headers["x-request-id"].startswith("req_")


def test_counts_requests_and_tokens(client: TestClient) -> None:
    ask(client)
    ask(client, stream=True)
    ask(client, model="made-up")
    ask(client, messages=[])
    text = client.get("/metrics").text
    assert 'modelyard_requests_total{model="helper",status="200"} 2.0' in text
    assert 'modelyard_requests_total{model="",status="404"} 1.0' in text
    assert 'modelyard_requests_total{model="",status="400"} 1.0' in text
    assert 'modelyard_tokens_total{kind="completion",model="helper"} 6.0' in text
    assert 'modelyard_requests_in_flight{model="helper"} 0.0' in text
    assert 'modelyard_time_to_first_token_seconds_count{model="helper"} 2.0' in text
    assert "made-up" not in text


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
