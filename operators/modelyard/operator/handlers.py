"""The kopf side: watches. Everything they hear goes to the controller as it is; nothing is decided here.

Only event handlers are used: they leave no finalizers, annotations or events of kopf's own on the objects. kopf's own search
for kinds and namespaces is off, since it takes rights over the whole cluster; kinds that come later are found by `Discovery`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import kopf

from modelyard.operator.controller import WATCHED
from modelyard.operator.discovery import Discovery
from modelyard.operator.kubernetes import KINDS

logger = logging.getLogger(__name__)

LOOK_FOR_KINDS_S = 5.0
PAUSE_S = 1.0
ANSWER_TIMEOUT_S = 5.0
BACKOFFS_S = (0.5, 1.0, 2.0, 4.0, *[8.0] * 10_000)
"""Of a listing before a watch that fails: kopf ends where they end, and an outage may take hours."""

OnEvent = Callable[[str | None, dict[str, Any]], None]


def build_registry(on_event: OnEvent) -> kopf.OperatorRegistry:
    """Handlers that hand every event on: its type, and the object."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(kopf.login_via_client)

    async def feed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(event["type"], dict(event["object"]))

    for kind in WATCHED:
        group, _, version = KINDS[kind].api_version.partition("/")
        kopf.on.event(group, version, KINDS[kind].plural, registry=registry, id=kind)(feed)
    return registry


def build_settings() -> kopf.OperatorSettings:
    """Settings of kopf without anything that writes, or that needs rights over the cluster."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.reconnect_backoff = 0.5
    settings.networking.error_backoffs = BACKOFFS_S
    settings.persistence.diffbase_storage = settings.persistence.progress_storage = NothingKept()
    return settings


class NothingKept(kopf.ProgressStorage, kopf.DiffBaseStorage):
    """Keeps neither what an object was like nor how far its handlers are: event handlers ask for neither.

    kopf's own storages copy every object several times for that, with every event.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing of an object is compared with what it was."""
        return kopf.BodyEssence()

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """There is nothing in it."""
        return essence

    def fetch(self, **_: Any) -> None:
        """Nothing is known."""

    store = purge = touch = fetch


class Watches:
    """kopf in a thread of its own, begun anew when it fails and when a kind appears that was not there."""

    def __init__(self, on_event: OnEvent, discovery: Discovery, namespaces: Sequence[str]) -> None:
        """namespaces: to watch; none: all."""
        self._on_event, self._discovery, self._namespaces = on_event, discovery, namespaces
        self._ending = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._round = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), name="watches", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Hear nothing more; again, or before `start`, is nothing."""
        self._ending.set()
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(lambda: self._round.set())
        if self._thread.ident is not None:
            self._thread.join()

    def answers(self) -> bool:
        """Whether the loop of the watches still turns; True before `start`."""
        if self._loop is None:
            return True
        turned = threading.Event()
        try:
            self._loop.call_soon_threadsafe(turned.set)
        except RuntimeError:  # it has ended
            return False
        return turned.wait(ANSWER_TIMEOUT_S)

    async def _watch(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._ending.is_set():
            self._round = asyncio.Event()
            missing = await asyncio.to_thread(self._discovery.missing, WATCHED)
            if missing:
                logger.warning("not installed yet: %s; they are watched once they are", ", ".join(sorted(missing)))
            look = asyncio.create_task(self._look_for(missing, self._round))
            try:
                if missing != set(WATCHED):
                    await self._run_kopf(self._round)
                else:
                    await self._round.wait()
            except Exception as error:
                logger.warning("the watches ended (%s: %s); they begin anew", type(error).__name__, error)
                await asyncio.sleep(PAUSE_S)
            finally:
                look.cancel()

    async def _run_kopf(self, stop: asyncio.Event) -> None:
        await kopf.operator(
            registry=build_registry(self._on_event),
            settings=build_settings(),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )

    async def _look_for(self, missing: set[str], found: asyncio.Event) -> None:
        """Set the event once a missing kind is there, or it is time to end."""
        while not self._ending.is_set():
            await asyncio.sleep(LOOK_FOR_KINDS_S)
            if missing and await asyncio.to_thread(self._discovery.missing, missing) != missing:
                found.set()
                return
