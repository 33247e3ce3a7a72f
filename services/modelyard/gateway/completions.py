"""Chat completions in OpenAI's wire shapes, whole and streamed."""

import json
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from modelyard.gateway.answering import Answer
from modelyard.gateway.metrics import Measurement
from modelyard.gateway.problems import ApiError

DONE = "data: [DONE]\n\n"


async def complete(answer: Answer, model: str, measurement: Measurement) -> dict[str, Any]:
    """The whole `chat.completion`."""
    text = ""
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            measurement.on_piece()
            text += piece
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if answer.annotations is not None:
        message["annotations"] = answer.annotations
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**_head("chat.completion", model), "choices": [choice], "usage": answer.usage, **answer.extras}


async def stream(answer: Answer, model: str, measurement: Measurement, *, include_usage: bool) -> AsyncGenerator[str, None]:
    """Server-sent events of `chat.completion.chunk`s, ending with `[DONE]`; an error midway is an event of its own."""
    head = _head("chat.completion.chunk", model)
    if include_usage:
        head["usage"] = None
    yield _event(head | {"choices": [_delta({"role": "assistant", "content": ""})]})
    try:
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                measurement.on_piece()
                yield _event(head | {"choices": [_delta({"content": piece})]})
    except ApiError as error:
        measurement.fail(error.status)
        yield _event(error.body())
        return
    last = {} if answer.annotations is None else {"annotations": answer.annotations}
    yield _event(head | {"choices": [_delta(last, answer.finish_reason)]} | answer.extras)
    if include_usage:
        yield _event(head | {"choices": [], "usage": answer.usage})
    yield DONE


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _delta(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n"
