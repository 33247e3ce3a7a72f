"""Ask a gateway what answers: its own word, which Serve's statuses do not replace."""

import time
from collections.abc import Mapping, Set
from typing import Any

import requests

from modelyard.domain.figures import VersionFigures
from modelyard.domain.observed import AppSeen
from modelyard.operator.ports import ServingSeen

TIMEOUT_S = 5.0
CALM_INTERVAL_S = 15.0
"""How often a gateway is asked that answered for everything: the question costs it a search in every knowledge base."""


class GatewayWord:
    """One gateway's `/ready`, remembered for a while once it is complete."""

    def __init__(self, url: str) -> None:
        """`url`: without a path."""
        self.url = url
        self._expected: Set[str] = frozenset()
        self._closely = False
        self._ready: Mapping[str, Any] = {}
        self._asked_at = 0.0
        self.complete = False
        """Whether all that is expected answered when it was asked last."""

    def expect(self, names: Set[str], *, closely: bool = False) -> None:
        """Say what the last config wants; until that answers, every question goes to the gateway.

        closely: and after that, too: its figures are wanted.
        """
        self._expected, self._closely, self.complete = names, closely, False

    def ask(self) -> Mapping[str, Any]:
        """The gateway's word (`models`, `knowledgeBases`, `problems`, `versions`); nothing where it does not answer."""
        if self.complete and not self._closely and time.monotonic() - self._asked_at < CALM_INTERVAL_S:
            return self._ready
        try:
            self._ready = requests.get(f"{self.url}/ready", timeout=TIMEOUT_S).json()
        except (requests.RequestException, ValueError):
            self._ready = {}
        self._asked_at = time.monotonic()
        self.complete = self._expected <= answering_names(self._ready)
        return self._ready


def see(apps: Mapping[str, AppSeen], ready: Mapping[str, Any]) -> ServingSeen:
    """What Serve and the gateway tell, together."""
    return ServingSeen(
        apps=apps,
        answering=answering_names(ready),
        problems=ready.get("problems", {}),
        figures={name: VersionFigures.model_validate(told) for name, told in (ready.get("versions") or {}).items()},
    )


def answering_names(ready: Mapping[str, Any]) -> frozenset[str]:
    """The models and knowledge bases that answer."""
    return frozenset(ready.get("models", [])) | frozenset(ready.get("knowledgeBases", []))
