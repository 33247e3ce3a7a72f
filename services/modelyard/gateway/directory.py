"""What names mean: served models, knowledge bases, embedding models. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from modelyard.domain.serving import EmbeddingRoute, GatewayConfig, KnowledgeBaseRoute, Route
from modelyard.gateway.problems import ApiError


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


class Directory:
    """Looks names up in the gateway's config; every miss is a 404 that lists what there is."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config

    def model(self, name: str) -> Route:
        """Where requests for a model go. Raises ApiError 404."""
        return _find(self.config.routes, name, "model", "model_not_found", "model")

    def knowledge_bases(self, names: Iterable[str]) -> list[KnowledgeBaseRoute]:
        """Where searches go. Raises ApiError 404."""
        return [_find(self.config.knowledge_bases, name, "knowledge base", "vector_store_not_found", "tools") for name in names]

    def embedding(self, name: str) -> EmbeddingRoute:
        """Which weights embed. Raises ApiError 404."""
        return _find(self.config.embeddings, name, "embedding model", "model_not_found", "model")

    def list_models(self) -> list[dict[str, Any]]:
        """All that `/v1/models` shows, in OpenAI's shape."""
        generators = [_model(route.name, route.owner, route.created) for route in self.config.routes]
        return generators + [_model(route.name, "", 0) for route in self.config.embeddings]

    def show_model(self, name: str) -> dict[str, Any]:
        """One of them. Raises ApiError 404."""
        found = next((model for model in self.list_models() if model["id"] == name), None)
        return found or _model(self.model(name).name, "", 0)


def _model(name: str, owner: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner or "modelyard"}


def _find(entries: Sequence[N], name: str, noun: str, code: str, param: str) -> N:
    found = next((entry for entry in entries if entry.name == name), None)
    if found is None:
        known = ", ".join(sorted(entry.name for entry in entries)) or "none yet"
        raise ApiError(404, f"there is no {noun} {name!r}; there are: {known}", param=param, code=code)
    return found
