"""The kopf side: watches, start and end. Everything it hears goes to the controller as it is; it decides nothing.

Only event handlers are used: they leave no finalizers, annotations or events of kopf's own on the objects.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import kopf

from modelyard.operator.controller import WATCHED, Controller
from modelyard.operator.kubernetes import KINDS
from modelyard.operator.leader import Leader

logger = logging.getLogger(__name__)


def build_registry(controller: Controller, leader: Leader | None, workers: int) -> kopf.OperatorRegistry:
    """Handlers that feed a controller. leader: waited for before anything is done; None: there is no other replica.

    workers: threads that reconcile.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.peering.standalone = True
        settings.batching.batch_window = 0.05
        settings.watching.reconnect_backoff = 1.0
        if leader is not None:
            await asyncio.to_thread(leader.acquire)
        await asyncio.to_thread(controller.start, workers)

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await asyncio.to_thread(controller.stop)
        if leader is not None:
            await asyncio.to_thread(leader.release)

    for kind in WATCHED:
        group, _, version = KINDS[kind].api_version.partition("/")
        kopf.on.event(group, version, KINDS[kind].plural, registry=registry, id=kind)(_feed(controller))
    return registry


def _feed(controller: Controller) -> Callable[..., Any]:
    async def feed(event: kopf.RawEvent, **_: Any) -> None:
        controller.on_event(event["type"], dict(event["object"]))

    return feed
