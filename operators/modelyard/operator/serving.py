"""The serving side on one machine: Ray Serve's declarative REST API, and the gateway's own word for what answers."""

from collections.abc import Mapping
from typing import Any, Protocol

import requests

from modelyard.domain.errors import UnavailableError
from modelyard.domain.observed import AppSeen
from modelyard.domain.serving import GATEWAY_APP
from modelyard.operator.gateway_word import GatewayWord, see
from modelyard.operator.manifests import has_canary, wanted_names
from modelyard.operator.ports import ServingSeen

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
        self.serve, self.gateway = serve, GatewayWord(gateway_url)

    def observe(self) -> ServingSeen:
        """What is deployed and what answers. Raises UnavailableError while Ray is away."""
        try:
            details = self.serve.get_serve_details()
        except (requests.RequestException, ConnectionError, RuntimeError) as error:
            raise UnavailableError(f"Ray Serve does not answer: {error}", "wait; the platform restarts it") from error
        apps = {name: _see(app) for name, app in (details.get("applications") or {}).items()}
        ready = self.gateway.ask() if GATEWAY_APP in apps else {}
        return see(apps, ready)

    def apply(self, config: Mapping[str, Any]) -> None:
        """Deploy the applications of the config and remove all others. Raises UnavailableError."""
        try:
            self.serve.deploy_applications(dict(config))
        except (requests.RequestException, ConnectionError, RuntimeError) as error:
            raise UnavailableError(f"Ray Serve did not take the config: {error}", "wait; it is sent again") from error
        self.gateway.expect(wanted_names(config), closely=has_canary(config))


def _see(app: Mapping[str, Any]) -> AppSeen:
    phase = PHASES.get(app["status"], "deploying")
    deployments = (app.get("deployments") or {}).values()
    causes = [deployment["message"] for deployment in deployments if deployment.get("message")]
    text = " ".join([app.get("message") or "", *causes]).strip()
    return AppSeen(phase=phase, message=last_line(text))  # type: ignore[arg-type]


def last_line(text: str) -> str:
    """Serve's messages carry whole tracebacks; the last line is the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
