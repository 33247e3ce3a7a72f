"""What `KEEP=1 make demo` promises."""

from typing import Any

import httpx
import pytest
from openai import OpenAI

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NAMES = ("python-helper", "python-helper:base")


@pytest.fixture
def client(yard: Any) -> OpenAI:
    return OpenAI(base_url=yard.settings.endpoint, api_key="unused")


def test_the_tuned_version_beats_the_base_by_a_quarter_on_held_out_modules(yard: Any) -> None:
    report = yard.report()
    gain = report["tuned"]["records.field_score"]["value"] - report["base"]["records.field_score"]["value"]
    assert gain >= 0.25
    assert report["gate"]["passed"]
    assert (yard.settings.root / "demo" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_answer_stands_in_a_passage_that_it_cites(yard: Any) -> None:
    report = yard.report()
    assert report["grounded"]
    assert "AssertionError" in report["answer"]
    cited = [citation["text"] for citation in report["citations"] if f"[{citation['index']}]" in report["answer"]]
    assert any("AssertionError" in text for text in cited)


@pytest.mark.parametrize("name", NAMES)
def test_both_names_stream_token_by_token_to_the_openai_client(client: OpenAI, name: str) -> None:
    messages = [{"role": "user", "content": "Name three planets."}]
    stream = client.chat.completions.create(model=name, messages=messages, stream=True, max_tokens=24, temperature=0)  # type: ignore[call-overload]
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    whole = client.chat.completions.create(model=name, messages=messages, max_tokens=24, temperature=0)  # type: ignore[call-overload]
    assert len(pieces) > 4
    assert "".join(pieces) == whole.choices[0].message.content


def test_the_models_health_and_metrics_endpoints_answer(yard: Any, client: OpenAI) -> None:
    assert set(NAMES) <= {model.id for model in client.models.list()}
    root = yard.settings.endpoint.removesuffix("/v1")
    assert httpx.get(f"{root}/health").status_code == 200
    assert "python-helper" in httpx.get(f"{root}/metrics").text


def test_embeddings_have_the_width_of_the_model(client: OpenAI) -> None:
    answer = client.embeddings.create(model="all-minilm-l6-v2", input=["a list", "a tuple"])
    assert [len(item.embedding) for item in answer.data] == [384, 384]


def test_an_unknown_model_is_refused_with_the_list(yard: Any) -> None:
    body = {"model": "nobody", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(f"{yard.settings.endpoint}/chat/completions", json=body)
    assert answer.status_code == 404
    assert "python-helper" in answer.json()["error"]["message"]


def test_a_second_run_does_no_job_again(yard: Any) -> None:
    attempts = {path: path.read_text() for path in (yard.settings.root / "runs").glob("*/attempt.json")}
    assert len(attempts) >= 5
    done = yard.demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path: path.read_text() for path in attempts} == attempts


def test_get_and_describe_tell_the_story(yard: Any) -> None:
    listed = yard.run("get", "models").stdout
    assert "python-helper" in listed and "Ready" in listed
    told = yard.run("describe", "model", "python-helper").stdout
    for word in ("records.field_score", "GatePassed", "Trained", "JobQueued"):
        assert word in told
