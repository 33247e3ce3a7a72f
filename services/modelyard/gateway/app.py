"""The gateway as a Ray Serve application. The only module of the gateway that knows Ray."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from modelyard.domain.errors import ModelyardError, UnavailableError
from modelyard.domain.passage import Passage
from modelyard.domain.serving import (
    ENGINE_DEPLOYMENT,
    GATEWAY_DEPLOYMENT,
    RETRIEVAL_APP,
    RETRIEVAL_DEPLOYMENT,
    GatewayConfig,
    KnowledgeBaseRoute,
)
from modelyard.gateway.api import build_api
from modelyard.gateway.directory import Directory

ASK_TIMEOUT_S = 30.0

T = TypeVar("T")


class ServeBackend:
    """Engines and retrieval, reached by deployment handles."""

    def __init__(self) -> None:
        self._handles: dict[tuple[str, str], Any] = {}

    async def chat(self, engine: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """One handle hop; cancelled in the engine when the reader goes away."""
        response = self._handle(engine, ENGINE_DEPLOYMENT).options(stream=True).chat.remote(request)
        finished = False
        try:
            async for event in response:
                yield event
            finished = True
        except (RayError, RayServeException) as error:
            raise _unavailable(engine, error) from error
        finally:
            if not finished:
                response.cancel()

    async def status(self, engine: str) -> dict[str, Any]:
        """What an engine is and holds."""
        return dict(await _ask(engine, lambda: self._handle(engine, ENGINE_DEPLOYMENT).status.remote()))

    async def search(self, route: KnowledgeBaseRoute, query: str, top_k: int | None) -> list[Passage]:
        """The nearest passages, best first."""
        found = await _ask(RETRIEVAL_APP, lambda: self._retrieval().search.remote(route.wire(), query, top_k))
        return [Passage.model_validate(passage) for passage in found]

    async def embed(self, digest: str, texts: list[str]) -> list[list[float]]:
        """One vector per text."""
        return list(await _ask(RETRIEVAL_APP, lambda: self._retrieval().embed.remote(digest, texts)))

    def _retrieval(self) -> Any:
        return self._handle(RETRIEVAL_APP, RETRIEVAL_DEPLOYMENT)

    def _handle(self, app: str, deployment: str) -> Any:
        """Kept, since a handle learns where its replicas are only after a while."""
        if (app, deployment) not in self._handles:
            self._handles[app, deployment] = serve.get_deployment_handle(deployment, app_name=app)
        return self._handles[app, deployment]


async def _ask(app: str, call: Callable[[], Awaitable[T]]) -> T:
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            return await call()
    except TimeoutError as error:
        raise UnavailableError(f"{app} did not answer within {ASK_TIMEOUT_S:g} s", "try again in a moment") from error
    except (RayError, RayServeException) as error:
        cause = getattr(error, "cause", None)
        raise (cause if isinstance(cause, ModelyardError) else _unavailable(app, error)) from error


def _unavailable(app: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"{app} does not answer ({type(error).__name__})", "it is starting or restarting; try again in a moment")


class GatewayReplica:
    """One HTTP ingress."""

    def __init__(self) -> None:
        self._directory = Directory(GatewayConfig())
        self._backend = ServeBackend()

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Serve once this object is there."""
        # Serve's own proxy puts x-request-id on every response; a second one would make the header a list.
        return build_api(self._backend, lambda: self._directory, sets_request_id=False)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """user_config: a GatewayConfig document; requests that run keep the routes they began with."""
        self._directory = Directory(GatewayConfig.model_validate(user_config))


def build_app(args: dict[str, Any]) -> serve.Application:
    """The application; there are no arguments, all that it needs comes as user_config."""
    # Requests mostly wait for engines here; Serve's default would let five of them in.
    deployment = serve.deployment(name=GATEWAY_DEPLOYMENT, max_ongoing_requests=1024, graceful_shutdown_timeout_s=20)
    return deployment(serve.ingress()(GatewayReplica)).bind()
