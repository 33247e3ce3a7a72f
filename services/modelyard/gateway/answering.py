"""One answer while it is made: an engine's events become text, counts and citations. Knows no HTTP framework."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from modelyard.domain.chat import CHAT_EVENT, ChatRequest, ErrorEvent, Message, StartEvent, TextEvent
from modelyard.domain.passage import Passage
from modelyard.domain.serving import Route
from modelyard.gateway.citing import Citer
from modelyard.gateway.problems import ApiError
from modelyard.gateway.requests import ChatBody

START_TIMEOUT_S = 15.0
"""An engine accepts a prompt within milliseconds; silence means that none runs."""

_MARK = re.compile(r"\[(\d+)\]")


class Answer:
    """Call `begin`, then take `pieces`, then read the totals."""

    def __init__(self, events: AsyncGenerator[dict[str, Any], None], sources: Sequence[Passage] | None = None, question: str = "") -> None:
        """sources: as numbered in the prompt; None for an answer without a knowledge base."""
        self._events, self._sources = events, sources
        self._citer = Citer(sources, question) if sources is not None else None
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.finish_reason = "stop"

    async def begin(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the prompt is accepted. Raises ApiError: 400 for the prompt's faults, 503 when no engine answers."""
        try:
            async with asyncio.timeout(timeout_s):
                event = CHAT_EVENT.validate_python(await anext(self._events))
        except TimeoutError as error:
            await self._events.aclose()
            raise ApiError(503, f"no engine answered within {timeout_s:g} s; it is starting or restarting, try again") from error
        if isinstance(event, ErrorEvent):
            raise _refusal(event)
        if isinstance(event, StartEvent):
            self.prompt_tokens = event.prompt_tokens

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The text as it becomes known, never empty. Closing it stops the engine. Raises ApiError when the engine fails midway."""
        async with aclosing(self._events):
            async for document in self._events:
                event = CHAT_EVENT.validate_python(document)
                if isinstance(event, ErrorEvent):
                    raise _refusal(event)
                if isinstance(event, TextEvent):
                    self.completion_tokens += event.tokens
                    self.finish_reason = event.finish_reason or self.finish_reason
                    if text := self._citer.feed(event.text) if self._citer else event.text:
                        yield text
        if self._citer and (text := self._citer.finish()):
            yield text

    @property
    def usage(self) -> dict[str, int]:
        """Token counts in OpenAI's shape."""
        total = self.prompt_tokens + self.completion_tokens
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens, "total_tokens": total}

    @property
    def annotations(self) -> list[dict[str, Any]] | None:
        """Where the text is marked; None for an answer without a knowledge base."""
        return [dict(annotation) for annotation in self._citer.answer.annotations] if self._citer else None

    @property
    def extras(self) -> dict[str, Any]:
        """What a grounded answer carries beside OpenAI's fields: the cited passages, and whether every sentence has support."""
        if self._citer is None or self._sources is None:
            return {}
        text = self._citer.answer.text
        marks = [_MARK.match(text, annotation["index"]) for annotation in self._citer.answer.annotations]
        cited = sorted({int(mark[1]) for mark in marks if mark})
        citations = [
            {"index": number, **source.model_dump(include={"file", "title", "heading", "score", "text"})}
            for number, source in ((number, self._sources[number - 1]) for number in cited)
        ]
        return {"citations": citations, "grounded": self._citer.answer.grounded}


def build_engine_request(route: Route, body: ChatBody, messages: Sequence[dict[str, str]], *, grounded: bool) -> dict[str, Any]:
    """The ChatRequest document for a client's request. Answers from sources take the likeliest words unless told otherwise."""
    temperature = body.temperature if body.temperature is not None else 0.0 if grounded else 1.0
    request = ChatRequest(
        messages=[Message(role=message["role"], content=message["content"]) for message in messages],
        adapter=route.adapter,
        max_tokens=body.answer_tokens,
        temperature=temperature,
        top_p=body.top_p if body.top_p is not None else 1.0,
        seed=body.seed,
        stop=body.stops,
    )
    return request.wire()


def _refusal(event: ErrorEvent) -> ApiError:
    status = {"invalid": 400, "unavailable": 503, "failed": 500}[event.reason]
    return ApiError(status, event.message, param="messages" if status == 400 else None, code=event.code or None)
