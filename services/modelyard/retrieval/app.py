"""Retrieval as a Ray Serve application. The only module of retrieval that knows Ray."""

import asyncio
from typing import Any

from ray import serve

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.serving import RETRIEVAL_DEPLOYMENT, KnowledgeBaseRoute, RetrievalArgs
from modelyard.retrieval.embedding import EmbeddingModel
from modelyard.retrieval.service import RetrievalService
from modelyard.retrieval.settings import MilvusSettings
from modelyard.retrieval.store import VectorStore


class RetrievalReplica:
    """Embeds and searches, reached through deployment handles only. Both run off the event loop."""

    def __init__(self, args: dict[str, Any]) -> None:
        """args: a RetrievalArgs document."""
        parsed = RetrievalArgs.model_validate(args)
        store = ArtifactStore(parsed.store)
        vectors = VectorStore(parsed.milvus_uri, MilvusSettings().token.get_secret_value())
        self._service = RetrievalService(lambda digest: EmbeddingModel(store.open(digest)), vectors)

    async def embed(self, digest: str, texts: list[str]) -> list[list[float]]:
        """Vectors of length 1, one a text, by the embedding model of an artifact digest."""
        return await asyncio.to_thread(self._service.embed, digest, texts)

    async def search(self, route: dict[str, Any], query: str, top_k: int | None = None) -> list[dict[str, Any]]:
        """route: a KnowledgeBaseRoute document. Returns Passage documents (`modelyard.domain.passage`), best first."""
        parsed = KnowledgeBaseRoute.model_validate(route)
        passages = await asyncio.to_thread(self._service.search, parsed, query, top_k)
        return [passage.model_dump() for passage in passages]


def build_app(args: dict[str, Any]) -> serve.Application:
    """The application for a RetrievalArgs document."""
    RetrievalArgs.model_validate(args)
    return serve.deployment(name=RETRIEVAL_DEPLOYMENT, ray_actor_options={"num_cpus": 0})(RetrievalReplica).bind(args)
