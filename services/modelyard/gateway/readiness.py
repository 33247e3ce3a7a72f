"""Which names answer now, asked of the services themselves."""

import asyncio
from collections.abc import Iterable

from modelyard.domain.errors import ModelyardError
from modelyard.domain.serving import KnowledgeBaseRoute, Route
from modelyard.gateway.backend import Backend
from modelyard.gateway.directory import Directory

PROBE_TIMEOUT_S = 1.5


async def probe(backend: Backend, directory: Directory, timeout_s: float = PROBE_TIMEOUT_S) -> dict[str, list[str]]:
    """`models`: names whose engine answers and lists their adapter. `knowledge_bases`: names whose collection can be searched."""
    routes, bases = directory.config.routes, directory.config.knowledge_bases
    engines = sorted({route.engine for route in routes})
    adapters = dict(zip(engines, await asyncio.gather(*(_adapters(backend, engine, timeout_s) for engine in engines)), strict=True))
    searchable = await asyncio.gather(*(_searchable(backend, base, timeout_s) for base in bases))
    return {
        "models": sorted(_answering(routes, adapters)),
        "knowledge_bases": sorted(base.name for base, answers in zip(bases, searchable, strict=True) if answers),
    }


def _answering(routes: Iterable[Route], adapters: dict[str, set[str] | None]) -> Iterable[str]:
    for route in routes:
        listed = adapters[route.engine]
        if listed is not None and (not route.adapter or route.adapter in listed):
            yield route.name


async def _adapters(backend: Backend, engine: str, timeout_s: float) -> set[str] | None:
    """The adapters that an engine lists; None where it does not answer."""
    try:
        async with asyncio.timeout(timeout_s):
            return set((await backend.status(engine))["adapters"])
    except (ModelyardError, TimeoutError):
        return None


async def _searchable(backend: Backend, base: KnowledgeBaseRoute, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await backend.search(base, "ready", 1)
    except (ModelyardError, TimeoutError):
        return False
    return True
