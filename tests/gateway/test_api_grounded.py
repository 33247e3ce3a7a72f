"""Answers from a knowledge base, with their citations."""

from fastapi.testclient import TestClient
from tests.gateway.asking import PASSAGE, FakeBackend, ask, events_of

from modelyard.domain.chat import TextEvent


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
