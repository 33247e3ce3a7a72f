"""The serving side on one machine: Ray Serve's declarative REST API, and the gateway's own word for what answers."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

import requests

from modelyard.domain.errors import UnavailableError
from modelyard.domain.observed import AppSeen
from modelyard.domain.serving import GATEWAY_APP
from modelyard.operator.manifests import wanted_names
from modelyard.operator.ports import ServingSeen

GATEWAY_TIMEOUT_S = 5.0
CALM_INTERVAL_S = 15.0
"""How often a gateway is asked that answered for everything: the question costs it a search in every knowledge base."""

PHASES = {"RUNNING": "running", "DEPLOY_FAILED": "failed", "UNHEALTHY": "failed"}


class ServeApi(Protocol):
    """The part of `ray.dashboard.modules.serve.sdk.ServeSubmissionClient` that is used."""

    def deploy_applications(self, config: dict[str, Any]) -> None:
        """`PUT /api/serve/applications/`."""

    def get_serve_details(self) -> dict[str, Any]:
        """`GET /api/serve/applications/`."""


class LocalServing:
    """The local Ray Serve."""

    def __init__(self, serve: ServeApi, gateway_url: str) -> None:
        """`gateway_url`: without a path."""
        self.serve, self.gateway_url = serve, gateway_url
        self._wanted: frozenset[str] = frozenset()
        self._ready: Mapping[str, Any] = {}
        self._asked_at = 0.0
        self._complete = False

    def observe(self) -> ServingSeen:
        """What is deployed and what answers. Raises UnavailableError while Ray is away."""
        try:
            details = self.serve.get_serve_details()
        except (requests.RequestException, ConnectionError, RuntimeError) as error:
            raise UnavailableError(f"Ray Serve does not answer: {error}", "wait; the platform restarts it") from error
        apps = {name: _see(app) for name, app in (details.get("applications") or {}).items()}
        ready = self._ask_gateway() if GATEWAY_APP in apps else {}
        return ServingSeen(apps=apps, answering=_names(ready), problems=ready.get("problems", {}))

    def apply(self, config: Mapping[str, Any]) -> None:
        """Deploy the applications of the config and remove all others. Raises UnavailableError."""
        try:
            self.serve.deploy_applications(dict(config))
        except (requests.RequestException, ConnectionError, RuntimeError) as error:
            raise UnavailableError(f"Ray Serve did not take the config: {error}", "wait; it is sent again") from error
        self._wanted, self._complete = wanted_names(config), False

    def _ask_gateway(self) -> Mapping[str, Any]:
        """The gateway's word; nothing where it does not answer. Asked rarely once all answers as the last config wants."""
        if self._complete and time.monotonic() - self._asked_at < CALM_INTERVAL_S:
            return self._ready
        try:
            self._ready = requests.get(f"{self.gateway_url}/ready", timeout=GATEWAY_TIMEOUT_S).json()
        except (requests.RequestException, ValueError):
            self._ready = {}
        self._asked_at = time.monotonic()
        self._complete = self._wanted <= _names(self._ready)
        return self._ready


def _names(ready: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(ready.get("models", [])) | frozenset(ready.get("knowledgeBases", []))


def _see(app: Mapping[str, Any]) -> AppSeen:
    phase = PHASES.get(app["status"], "deploying")
    deployments = (app.get("deployments") or {}).values()
    causes = [deployment["message"] for deployment in deployments if deployment.get("message")]
    text = " ".join([app.get("message") or "", *causes]).strip()
    return AppSeen(phase=phase, message=_last_line(text))  # type: ignore[arg-type]


def _last_line(text: str) -> str:
    """Serve's messages carry whole tracebacks; the last line is the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
