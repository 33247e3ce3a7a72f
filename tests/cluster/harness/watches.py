"""Pass the events of watches on, reshaped when asked, and end open watches in the ways that servers do."""

import enum
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from harness.calls import Call
from harness.faults import Action, Match
from harness.streams import TOO_OLD, reshape


class Ending(enum.Enum):
    """How a watch ends."""

    RESET = "the connection breaks"
    END = "the stream ends in good order, as after the server's own time limit"
    EXPIRED = "the server says 410: the resource version is too old, list again"


@dataclass
class _Open:
    request: web.BaseRequest
    upstream: aiohttp.ClientResponse
    call: Call
    ending: Ending = Ending.END


class Watches:
    """The watches that are open now. Used in the proxy's thread, but for `count`."""

    def __init__(self) -> None:
        self._open: list[_Open] = []

    def count(self, match: Match) -> int:
        """How many are open."""
        return sum(match.fits(watch.call) for watch in list(self._open))

    def close(self, ending: Ending, match: Match) -> int:
        """End those that match; returns how many there were."""
        closing = [watch for watch in self._open if match.fits(watch.call)]
        for watch in closing:
            watch.ending = ending
            if ending is Ending.RESET and watch.request.transport is not None:
                watch.request.transport.abort()
            watch.upstream.close()
        return len(closing)

    async def relay(
        self, request: web.BaseRequest, upstream: aiohttp.ClientResponse, call: Call, actions: Iterable[Action]
    ) -> web.StreamResponse:
        """Pass the events on until the server, the client or `close` ends it."""
        response = web.StreamResponse(status=upstream.status, headers={"Content-Type": upstream.headers.get("Content-Type", "")})
        watch = _Open(request, upstream, call)
        self._open.append(watch)
        try:
            await response.prepare(request)
            async for event in reshape(_read(upstream), actions if _has_lines(upstream) else ()):
                await response.write(event)
            if watch.ending is Ending.EXPIRED:
                await response.write(TOO_OLD)
            await response.write_eof()
        except ConnectionError:
            # The client went away, or was sent away: nobody is left to tell.
            pass
        finally:
            self._open.remove(watch)
        return response


async def _read(upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The events as bytes, a line each; protobuf as it comes."""
    lines = _has_lines(upstream)
    try:
        while event := await (upstream.content.readline() if lines else upstream.content.readany()):
            yield event
    except aiohttp.ClientError:
        # The server, or `close`, broke it off: to the client it just ends.
        return


def _has_lines(upstream: aiohttp.ClientResponse) -> bool:
    return "json" in upstream.headers.get("Content-Type", "")
