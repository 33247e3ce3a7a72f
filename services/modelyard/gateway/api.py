"""The HTTP routes that OpenAI clients know. Knows no Ray: services are reached through a `Backend`."""

import random
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, aclosing
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.domain.errors import ModelyardError
from modelyard.domain.passage import Passage
from modelyard.domain.serving import Route
from modelyard.gateway.answering import Answer, build_engine_request
from modelyard.gateway.backend import Backend
from modelyard.gateway.canary import SESSION_HEADER, VERSION_HEADER, choose_version
from modelyard.gateway.completions import complete, stream
from modelyard.gateway.directory import Directory
from modelyard.gateway.embeddings import build_embeddings
from modelyard.gateway.grounding import build_grounded_messages, choose_sources, question_of
from modelyard.gateway.metrics import Measurement, Metrics
from modelyard.gateway.problems import ApiError, from_validation, to_api_error
from modelyard.gateway.readiness import probe
from modelyard.gateway.requests import ChatBody, EmbeddingsBody

REQUEST_ID = "x-request-id"


def build_api(
    backend: Backend,
    directory: Callable[[], Directory],
    *,
    sets_request_id: bool = True,
    chance: Callable[[], float] = random.random,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The application.

    directory: asked anew for every request, since the config changes while requests run.
    sets_request_id: whether responses get `x-request-id` here; not behind a proxy that adds it.
    chance: 0 up to 1, without 1; decides who answers a request of an unknown client while a version takes over.
    clock: seconds; what requests are measured by.
    """
    metrics = Metrics(clock)
    api = FastAPI(title="Modelyard", docs_url="/docs", redoc_url=None)
    if sets_request_id:
        api.add_middleware(RequestId)
    _add_refusals(api, metrics)

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/ready")
    async def ready() -> dict[str, Any]:
        return (await probe(backend, directory(), metrics.figures())).wire()

    @api.get("/metrics")
    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @api.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": directory().list_models()}

    @api.get("/v1/models/{name:path}")
    async def show_model(name: str) -> dict[str, Any]:
        return directory().show_model(name)

    @api.post("/v1/chat/completions", response_model=None)
    async def chat(request: Request, body: ChatBody) -> Response:
        client = body.user or request.headers.get(SESSION_HEADER, "")
        route = choose_version(directory().model(body.model), client, chance)
        request.state.version = route.version
        with ExitStack() as until_answered:
            measurement = until_answered.enter_context(metrics.measure(route.name, route.version))
            answer = await _open_answer(backend, directory(), route, body)
            if body.stream:
                usage = body.stream_options is not None and body.stream_options.include_usage
                events = stream(answer, body.model, measurement, include_usage=usage)
                # The measurement goes on until the stream ends.
                measured = _measured(events, answer, measurement, until_answered.pop_all())
                headers = {"Cache-Control": "no-cache", **_version_header(request)}
                return StreamingResponse(measured, media_type="text/event-stream", headers=headers)
            completion = await complete(answer, body.model, measurement)
            measurement.count(answer.prompt_tokens, answer.completion_tokens)
            return JSONResponse(completion, headers=_version_header(request))

    @api.post("/v1/embeddings")
    async def embed(body: EmbeddingsBody) -> dict[str, Any]:
        route = directory().embedding(body.model)
        with metrics.measure(route.name):
            return build_embeddings(body, await backend.embed(route.digest, body.texts))

    return api


def _version_header(request: Request) -> dict[str, str]:
    version = getattr(request.state, "version", "")
    return {VERSION_HEADER: version} if version else {}


async def _open_answer(backend: Backend, directory: Directory, route: Route, body: ChatBody) -> Answer:
    """Search where a knowledge base is named, then hand the prompt to the engine. Raises ApiError, ModelyardError."""
    messages = [message.plain() for message in body.messages]
    sources: list[Passage] | None = None
    if body.tools:
        sources = choose_sources(await _search(backend, directory, body, question_of(messages)))
    question = question_of(messages)
    request = build_engine_request(
        route, body, build_grounded_messages(messages, sources) if sources else messages, grounded=sources is not None
    )
    answer = Answer(backend.chat(route.engine, request), sources, question)
    await answer.begin()
    return answer


async def _search(backend: Backend, directory: Directory, body: ChatBody, question: str) -> list[Passage]:
    found: list[Passage] = []
    for tool in body.tools or []:
        for base in directory.knowledge_bases(tool.vector_store_ids):
            found += await backend.search(base, question, tool.max_num_results)
    return found


async def _measured(
    events: AsyncGenerator[str, None], answer: Answer, measurement: Measurement, until_answered: ExitStack
) -> AsyncGenerator[str, None]:
    with until_answered:
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            measurement.count(answer.prompt_tokens, answer.completion_tokens)


def _add_refusals(api: FastAPI, metrics: Metrics) -> None:
    """Answer every error in OpenAI's shape."""

    def answer(request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, {**error.headers, **_version_header(request)})

    @api.exception_handler(ApiError)
    async def refuse(request: Request, error: ApiError) -> JSONResponse:
        if error.code == "model_not_found":
            metrics.refuse(error.status)
        return answer(request, error)

    @api.exception_handler(ModelyardError)
    async def refuse_by_domain(request: Request, error: ModelyardError) -> JSONResponse:
        return answer(request, to_api_error(error))

    @api.exception_handler(RequestValidationError)
    async def refuse_body(request: Request, error: RequestValidationError) -> JSONResponse:
        metrics.refuse(400)
        return answer(request, from_validation([{**e, "loc": e["loc"][1:]} for e in error.errors()]))

    @api.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> JSONResponse:
        return answer(request, ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))

    @api.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> JSONResponse:
        return answer(request, ApiError(500, "the gateway failed; its log has the reason"))


class RequestId:
    """Give every response the request's id, or a new one. Plain ASGI, since Starlette's own base class delays streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap `send`."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = Headers(scope=scope).get(REQUEST_ID) or f"req_{uuid.uuid4().hex}"

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
