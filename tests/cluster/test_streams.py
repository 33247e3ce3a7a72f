import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from harness.faults import Action, CutAfter, DropEvents, FailEvents, RepeatEvents, ReplayEvents, StallEvents, SwapEvents
from harness.streams import reshape

EVENTS = ["ADDED a1", "MODIFIED a2", "ADDED b1", "BOOKMARK -", "DELETED a3"]


async def stream(pause_s: float) -> AsyncIterator[bytes]:
    for event in EVENTS:
        kind, told = event.split()
        yield json.dumps({"type": kind, "object": {"metadata": {"uid": told[0], "told": told}}}).encode()
        await asyncio.sleep(pause_s)


async def brief(action: Action, pause_s: float) -> list[str]:
    events = [json.loads(event) async for event in reshape(stream(pause_s), [action])]
    return [f"{event['type']} {event['object'].get('code') or event['object']['metadata']['told']}" for event in events]


@pytest.mark.parametrize(
    ("action", "pause_s", "seen"),
    [
        pytest.param(CutAfter(), 0, EVENTS, id="what is for requests changes no event"),
        pytest.param(RepeatEvents(2), 0, [event for event in EVENTS for _ in range(2)], id="each comes twice"),
        pytest.param(SwapEvents(1), 0, ["MODIFIED a2", "ADDED a1", "BOOKMARK -", "ADDED b1", "DELETED a3"], id="two change places"),
        pytest.param(SwapEvents(0.01), 0.1, EVENTS, id="one that nothing follows is not held for ever"),
        pytest.param(
            ReplayEvents(),
            0,
            ["ADDED a1", "MODIFIED a2", "ADDED a1", "ADDED b1", "BOOKMARK -", "DELETED a3", "MODIFIED a2"],
            id="the one before comes again, after the deletion too",
        ),
        pytest.param(StallEvents(2), 0, ["ADDED a1", "MODIFIED a2"], id="two come and no more"),
        pytest.param(DropEvents("BOOKMARK"), 0, [event for event in EVENTS if "-" not in event], id="no bookmark comes"),
        pytest.param(FailEvents(1), 0, ["ADDED a1", "ERROR 410"], id="one comes, then the version is too old"),
    ],
)
def test_events_are_reshaped(action: Action, pause_s: float, seen: list[str]) -> None:
    assert asyncio.run(brief(action, pause_s)) == seen
