"""The routes of the gateway, as an OpenAI client sees them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.gateway.asking import ADAPTER, FakeBackend, ask, events_of

from modelyard.domain.chat import ErrorEvent


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
