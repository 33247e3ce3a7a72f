"""A gateway before an engine and an index that are played, and requests to it."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi.testclient import TestClient

from modelyard.domain.chat import StartEvent, TextEvent
from modelyard.domain.errors import UnavailableError
from modelyard.domain.passage import Passage
from modelyard.domain.serving import EmbeddingRoute, GatewayConfig, KnowledgeBaseRoute, Route

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


def ask(client: TestClient, **fields: Any) -> Any:
    return client.post("/v1/chat/completions", json={"model": "helper", "messages": HELLO, **fields})


def events_of(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]
