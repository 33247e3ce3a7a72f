"""Choose the version that answers a request while a new one takes over. Pure but for the chance that it is given."""

import hashlib
from collections.abc import Callable

from modelyard.domain.serving import Route

SESSION_HEADER = "x-session-id"
"""Requests with the same value of it are answered by the same version; so are those with the same `user`."""
VERSION_HEADER = "x-modelyard-version"
"""Tells on each response which version answered."""


def choose_version(route: Route, client: str, chance: Callable[[], float]) -> Route:
    """The route with one version only: that of the canary for its share of clients.

    client: who asks; empty where that is not known, and then each request is decided by chance (0 up to 1, without 1).
    A client stays with its version while the weight stays, and stays with the canary when that is given more. The API
    key is not asked: one application sends one for all its users, and all would go the same way.
    """
    canary = route.canary
    if canary is None:
        return route
    position = _position(canary.version, client) if client else chance()
    if position * 100 >= canary.weight:
        return route.model_copy(update={"canary": None})
    return route.model_copy(update={"engine": canary.engine, "adapter": canary.adapter, "version": canary.version, "canary": None})


def _position(version: str, client: str) -> float:
    """Where a client is in the queue for a version: 0 up to 1, without 1. Each version begins with other clients."""
    digest = hashlib.sha256(f"{version}\n{client}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
