"""A door to the API server, over HTTPS on loopback, at which requests are counted, cut, refused, delayed and repeated.

It runs in a thread of its own, and speaks HTTP/1.1 only. `exec` and `port-forward`, which change the protocol, do not pass.
"""

import asyncio
import secrets
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar, Unpack

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from harness.calls import read_call
from harness.control_plane import ControlPlane
from harness.faults import Action, Answer, CutAfter, CutBefore, Delay, Fault, Match, MatchFields, Silence, Truncate, due
from harness.kubeconfig import build_kubeconfig, token_user, with_server, write_kubeconfig
from harness.traffic import Traffic
from harness.watches import Ending, Watches

BODY_BYTES = 64 << 20
LINE_BYTES = 16 << 20
STOP_TIMEOUT_S = 10.0
SETTLE_S = 0.05
"""The loop closes sockets a turn or two after it is told to."""
OF_ONE_CONNECTION = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "date"}

T = TypeVar("T")


class Proxy:
    """The door: `kubeconfig` goes through it, `traffic` tells what went through, `inject` makes things go wrong."""

    def __init__(self, plane: ControlPlane) -> None:
        self.traffic = Traffic()
        self._plane = plane
        self._administrator = f"Bearer {secrets.token_hex(16)}"
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._watches = Watches()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port = self._run(self._open())
        self.server = f"https://127.0.0.1:{self.port}"
        user = token_user(self._administrator.removeprefix("Bearer "))
        document = build_kubeconfig(self.server, plane.authority.certificate, user)
        self.kubeconfig = write_kubeconfig(plane.folder / f"proxy-{self.port}.kubeconfig", document)

    def through(self, kubeconfig: Path) -> Path:
        """The kubeconfig of the same service account, by way of this door."""
        document = with_server(yaml.safe_load(kubeconfig.read_text()), self.server)
        return write_kubeconfig(kubeconfig.with_name(f"proxy-{self.port}.{kubeconfig.name}"), document)

    def inject(self, action: Action, nth: int = 1, times: int | None = 1, every: int = 1, **fields: Unpack[MatchFields]) -> Fault:
        """From the `nth` matching request on, `times` of them (None: all) get the action: `inject(CutAfter(), nth=3, kind="write")`.

        every: of those, only each second, third… one.

        For a watch it is chosen when the watch begins: `close_watches` makes the open ones begin anew.
        """
        fault = Fault(action, Match(**fields), nth, times, every=every)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Take every fault back."""
        with self._lock:
            self._faults.clear()

    def close_watches(self, ending: Ending = Ending.RESET, **fields: Unpack[MatchFields]) -> int:
        """End the open watches that match; returns how many there were."""

        async def close() -> int:
            return self._watches.close(ending, Match(**fields))

        return self._run(close())

    def open_watches(self, **fields: Unpack[MatchFields]) -> int:
        """How many watches are open."""
        return self._watches.count(Match(**fields))

    def close(self) -> None:
        """End every connection, and the thread."""
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_TIMEOUT_S)
        self._loop.close()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _open(self) -> int:
        plane = self._plane
        as_administrator, as_anyone = (ssl.create_default_context(cafile=plane.authority.certificate) for _ in range(2))
        as_administrator.load_cert_chain(plane.admin.certificate, plane.admin.key)
        self._as_administrator, self._as_anyone = map(_session, (as_administrator, as_anyone))
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serving.load_cert_chain(plane.serving.certificate, plane.serving.key)
        self._runner = web.ServerRunner(web.Server(self._handle, request_factory=_request), handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=serving)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def _shut(self) -> None:
        self._watches.close(Ending.RESET, Match())
        # A closing TLS connection waits for the other side, which may be a client that has forgotten it.
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()
        for session in (self._as_administrator, self._as_anyone):
            await session.close()
        await asyncio.sleep(SETTLE_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        call = read_call(request.method, request.path, request.query)
        body = await request.read()
        self.traffic.record(call)
        with self._lock:
            actions = due(self._faults, call)
        for action in actions:
            if isinstance(action, Delay):
                await asyncio.sleep(action.seconds)
        for action in actions:
            if isinstance(action, CutBefore):
                return _cut(request)
            if isinstance(action, Answer):
                return _answered(action)
            if action == Silence(acted=False):
                return await _say_nothing(request)
        try:
            async with self._ask(request, body) as upstream:
                if call.is_watch and upstream.ok:
                    return await self._watches.relay(request, upstream, call, actions)
                answer = await upstream.read()
        except aiohttp.ClientError:
            # The API server is gone: on the direct way the client would see just this.
            return _cut(request)
        for action in actions:
            if isinstance(action, CutAfter):
                return _cut(request)
            if isinstance(action, Silence):
                return await _say_nothing(request)
            if isinstance(action, Truncate):
                return await _halved(request, upstream, answer, action)
        return web.Response(status=upstream.status, headers=_headers(upstream.headers), body=answer)

    def _ask(self, request: web.BaseRequest, body: bytes) -> Any:
        headers = _headers(request.headers)
        session = self._as_anyone
        if headers.get("Authorization") == self._administrator:
            del headers["Authorization"]
            session = self._as_administrator
        url = URL(f"{self._plane.server}{request.raw_path}", encoded=True)
        return session.request(request.method, url, headers=headers, data=body or None, allow_redirects=False)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(STOP_TIMEOUT_S)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """A request whose body may be as large as the API server's own limit and more."""
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=BODY_BYTES)


def _session(trust: ssl.SSLContext) -> aiohttp.ClientSession:
    """Bodies pass as they are, compressed or not."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=LINE_BYTES,
        skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type", "Accept"),
    )


def _cut(request: web.BaseRequest) -> web.Response:
    """Drop the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _say_nothing(request: web.BaseRequest) -> web.Response:
    """Hold the connection until the client gives up."""
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(SETTLE_S)
    return web.Response()


async def _halved(request: web.BaseRequest, upstream: aiohttp.ClientResponse, answer: bytes, action: Truncate) -> web.StreamResponse:
    headers, half = _headers(upstream.headers), answer[: len(answer) // 2]
    if action.whole:
        return web.Response(status=upstream.status, headers=headers, body=half)
    response = web.StreamResponse(status=upstream.status, headers=headers)
    response.content_length = len(answer)
    await response.prepare(request)
    await response.write(half)
    return _cut(request)


def _answered(answer: Answer) -> web.Response:
    headers = {"Retry-After": str(answer.retry_after_s)} if answer.retry_after_s is not None else {}
    return web.Response(status=answer.status, headers=headers, body=answer.body(), content_type="application/json")


def _headers(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in OF_ONE_CONNECTION}
