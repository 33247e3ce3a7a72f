"""What the gateway needs from the services behind it. The Ray shell and the tests' fakes implement it."""

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from modelyard.domain.passage import Passage
from modelyard.domain.serving import KnowledgeBaseRoute


class Backend(Protocol):
    """Engines and retrieval. Every method raises UnavailableError where the service does not answer."""

    def chat(self, engine: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """A ChatRequest document in, event documents out (`modelyard.domain.chat`). Closing it stops the engine's work."""

    async def status(self, engine: str) -> dict[str, Any]:
        """What an engine is and holds: `engine`, `adapters`, `context_length`."""

    async def search(self, route: KnowledgeBaseRoute, query: str, top_k: int | None) -> list[Passage]:
        """The passages of a knowledge base nearest to a query, best first."""

    async def embed(self, digest: str, texts: list[str]) -> list[list[float]]:
        """One vector per text."""
