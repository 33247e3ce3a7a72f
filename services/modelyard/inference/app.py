"""The engine as a Ray Serve application. The only module of inference that knows Ray."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ray import serve

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.serving import ENGINE_DEPLOYMENT, EngineArgs, EngineConfig
from modelyard.inference.engines import build_engine
from modelyard.inference.service import EngineService


class EngineReplica:
    """One engine in one actor, reached through deployment handles only."""

    async def __init__(self, args: dict[str, Any]) -> None:  # type: ignore[misc] # Serve awaits it
        """args: an EngineArgs document."""
        parsed = EngineArgs.model_validate(args)
        store = ArtifactStore(parsed.store)
        engine = build_engine(parsed, store.open(parsed.base_digest))
        await engine.start()
        self._service = EngineService(engine, store, parsed.base_digest)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """user_config: an EngineConfig document. An adapter that cannot be loaded leaves the others and the base answering."""
        await self._service.configure(EngineConfig.model_validate(user_config))

    async def chat(self, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """A ChatRequest document in, event documents out (`modelyard.domain.chat`)."""
        async with aclosing(self._service.chat(request)) as events:
            async for event in events:
                yield event

    async def status(self) -> dict[str, Any]:
        """What the engine is and holds."""
        return await self._service.status()

    async def check_health(self) -> None:
        """Called by Serve; an exception restarts the replica."""
        await self._service.check_health()

    def __del__(self) -> None:
        if hasattr(self, "_service"):
            self._service.close()


def build_app(args: dict[str, Any]) -> serve.Application:
    """The application for an EngineArgs document."""
    EngineArgs.model_validate(args)
    deployment = serve.deployment(
        name=ENGINE_DEPLOYMENT,
        # The engine queues and batches by itself; Serve's default would let five requests through.
        max_ongoing_requests=256,
        graceful_shutdown_timeout_s=20,
    )
    return deployment(EngineReplica).bind(args)
