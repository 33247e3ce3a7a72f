"""Which names answer now, asked of the services themselves."""

import asyncio
from collections.abc import Mapping
from typing import Any

from modelyard.domain.base import Spec
from modelyard.domain.errors import ModelyardError
from modelyard.domain.figures import VersionFigures
from modelyard.domain.serving import KnowledgeBaseRoute, Route
from modelyard.gateway.backend import Backend
from modelyard.gateway.directory import Directory

PROBE_TIMEOUT_S = 1.5


class Readiness(Spec):
    """What answers now."""

    models: list[str]
    """Names whose engine answers and lists their adapter."""
    knowledge_bases: list[str]
    """Names whose collection can be searched."""
    problems: dict[str, str]
    """Name of a model → why its adapter is not loaded."""
    versions: dict[str, VersionFigures] | None = None
    """Name of a ModelVersion → what this gateway counted of it since it started; missing while there is nothing."""


async def probe(
    backend: Backend, directory: Directory, figures: Mapping[str, VersionFigures] | None = None, timeout_s: float = PROBE_TIMEOUT_S
) -> Readiness:
    """Ask every engine and every knowledge base at once; `figures` are told as they are."""
    routes, bases = directory.config.routes, directory.config.knowledge_bases
    engines = sorted({route.engine for route in routes})
    statuses = dict(zip(engines, await asyncio.gather(*(_status(backend, engine, timeout_s) for engine in engines)), strict=True))
    searchable = await asyncio.gather(*(_searchable(backend, base, timeout_s) for base in bases))
    return Readiness(
        models=sorted(route.name for route in routes if _answers(route, statuses[route.engine])),
        knowledge_bases=sorted(base.name for base, answers in zip(bases, searchable, strict=True) if answers),
        problems={route.name: problem for route in routes if (problem := _problem(route, statuses[route.engine]))},
        versions=dict(figures) if figures else None,
    )


def _answers(route: Route, status: dict[str, Any] | None) -> bool:
    return status is not None and (not route.adapter or route.adapter in status["adapters"])


def _problem(route: Route, status: dict[str, Any] | None) -> str:
    return str(status["problems"].get(route.adapter, "")) if status else ""


async def _status(backend: Backend, engine: str, timeout_s: float) -> dict[str, Any] | None:
    """What an engine says of itself; None where it does not answer."""
    try:
        async with asyncio.timeout(timeout_s):
            return await backend.status(engine)
    except (ModelyardError, TimeoutError):
        return None


async def _searchable(backend: Backend, base: KnowledgeBaseRoute, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await backend.search(base, "ready", 1)
    except (ModelyardError, TimeoutError):
        return False
    return True
