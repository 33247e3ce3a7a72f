"""Answer searches and embed texts. Knows neither Ray nor HTTP."""

import threading
from collections.abc import Callable, Sequence

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.passage import Passage
from modelyard.domain.serving import KnowledgeBaseRoute
from modelyard.retrieval.embedding import EmbeddingModel
from modelyard.retrieval.store import VectorStore

MAX_TOP_K = 50


class RetrievalService:
    """Embeds and searches; safe to use from several threads. Models are loaded on first use and kept."""

    def __init__(self, load: Callable[[str], EmbeddingModel], vectors: VectorStore) -> None:
        """`load`: artifact digest → its model."""
        self._load, self._vectors = load, vectors
        self._models: dict[str, EmbeddingModel] = {}
        self._lock = threading.Lock()

    def embed(self, digest: str, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1, one a text, by the model of an artifact digest. Raises NotFoundError, IntegrityError."""
        vectors: list[list[float]] = self._model(digest).embed(texts).tolist()
        return vectors

    def search(self, route: KnowledgeBaseRoute, query: str, top_k: int | None = None) -> list[Passage]:
        """The passages of a knowledge base that are nearest to a query, best first; `top_k` overrides the route's.

        Raises InvalidInputError for an empty query or a `top_k` out of range, NotFoundError where nothing is
        published yet, UnavailableError when Milvus does not answer.
        """
        wanted = route.top_k if top_k is None else top_k
        if not 1 <= wanted <= MAX_TOP_K:
            raise InvalidInputError(f"{wanted} passages are asked for", f"ask for 1 to {MAX_TOP_K}")
        if not query.strip():
            raise InvalidInputError(f"the query to {route.name} is empty", "write what to search for")
        return self._vectors.search(route.alias, self.embed(route.embedding_digest, [query])[0], wanted)

    def _model(self, digest: str) -> EmbeddingModel:
        with self._lock:
            if digest not in self._models:
                self._models[digest] = self._load(digest)
            return self._models[digest]
