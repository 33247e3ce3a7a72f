"""Reshape the events of one watch as faulty servers and networks do. Knows no connection: lines in, lines out."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from harness.faults import (
    Action,
    Answer,
    DelayEvents,
    DropEvents,
    FailEvents,
    RepeatEvents,
    ReplayEvents,
    StallEvents,
    SwapEvents,
)

Events = AsyncIterator[bytes]
TOO_OLD = b'{"type":"ERROR","object":%s}\n' % Answer(410, message="too old resource version").body()


def reshape(events: Events, actions: Iterable[Action]) -> Events:
    """The events, a JSON document each, after all actions that are for events, in their order."""
    for action in actions:
        match action:
            case DelayEvents(seconds):
                events = _delay(events, seconds)
            case RepeatEvents(times):
                events = _repeat(events, times)
            case SwapEvents(wait_s):
                events = _swap(events, wait_s)
            case ReplayEvents():
                events = _replay(events)
            case StallEvents(after):
                events = _stall(events, after)
            case DropEvents(dropped):
                events = _drop(events, dropped)
            case FailEvents(after):
                events = _fail(events, after)
    return events


async def _delay(events: Events, seconds: float) -> Events:
    async for event in events:
        await asyncio.sleep(seconds)
        yield event


async def _repeat(events: Events, times: int) -> Events:
    async for event in events:
        for _ in range(times):
            yield event


async def _swap(events: Events, wait_s: float) -> Events:
    coming = asyncio.ensure_future(_next(events))
    try:
        while (held := await coming) is not None:
            coming = asyncio.ensure_future(_next(events))
            await asyncio.wait([coming], timeout=wait_s)
            if coming.done() and (later := coming.result()) is not None:
                yield later
                coming = asyncio.ensure_future(_next(events))
            yield held
    finally:
        coming.cancel()


async def _next(events: Events) -> bytes | None:
    return await anext(events, None)


async def _replay(events: Events) -> Events:
    before: dict[str, bytes] = {}
    async for event in events:
        yield event
        uid = str(_read(event)["object"]["metadata"].get("uid", ""))
        if uid in before:
            yield before[uid]
        before[uid] = event


async def _stall(events: Events, after: int) -> Events:
    async for event in events:
        if after > 0:
            yield event
        after -= 1


async def _drop(events: Events, dropped: str) -> Events:
    async for event in events:
        if _read(event)["type"] != dropped:
            yield event


async def _fail(events: Events, after: int) -> Events:
    async for event in events:
        if after <= 0:
            break
        yield event
        after -= 1
    yield TOO_OLD


def _read(event: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(event)
    return document
