"""The serving side of one namespace: a RayService that holds the one Serve config, and the gateway's own word."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from modelyard.domain.observed import AppSeen, Obstacle
from modelyard.domain.serving import GATEWAY_APP
from modelyard.operator.cause import Cause
from modelyard.operator.gateway_word import GatewayWord, see
from modelyard.operator.kubernetes import Api, RetryLaterError
from modelyard.operator.labels import RAY_SERVICE
from modelyard.operator.manifests import has_canary, wanted_names
from modelyard.operator.ports import ServingSeen
from modelyard.operator.serving import PHASES, last_line
from modelyard.operator.serving_changes import find_changes
from modelyard.operator.watch_cache import WatchCache

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]


class KubernetesServing:
    """Looked at by `refresh`, so that many resources can be planned on one look."""

    def __init__(
        self,
        api: Api,
        cache: WatchCache,
        namespace: str,
        gateway_url: str,
        build: Callable[[Mapping[str, Any]], dict[str, Any]],
        find_cause: Callable[[Document], Cause | None],
    ) -> None:
        """build: Serve config → RayService. find_cause: why a RayService does not start."""
        self.api, self.cache, self.namespace, self._build, self._find_cause = api, cache, namespace, build, find_cause
        self.gateway = GatewayWord(gateway_url)
        self._seen = ServingSeen()
        self._idle = True
        """Nothing is to be served."""
        self._wanted: Document | None = None

    @property
    def complete(self) -> bool:
        """Whether all that is wanted answers."""
        return self._idle or self.gateway.complete

    def observe(self) -> ServingSeen:
        """What was deployed and answered at the last look."""
        return self._seen

    def refresh(self) -> frozenset[str]:
        """Look again; the names that are told of differently: see `serving_changes`."""
        document = self.cache.get("RayService", self.namespace, RAY_SERVICE)
        apps = _apps(document) if document else {}
        ready = self.gateway.ask() if GATEWAY_APP in apps else {}
        edited = document is not None and self._wanted is not None and not covers(document, self._wanted)
        obstacle = self._find_obstacle(document) if document is not None and not self.complete else None
        before, self._seen = self._seen, replace(see(apps, ready), edited=edited, obstacle=obstacle)
        return find_changes(before, self._seen)

    def _find_obstacle(self, document: Document) -> Obstacle | None:
        """What keeps the serving side from starting; what was told before where that cannot be read now."""
        try:
            cause = self._find_cause(document)
        except RetryLaterError as error:
            logger.info("the cause is looked for again later: %s", error)
            return self._seen.obstacle
        return Obstacle(cause.reason, cause.message) if cause else None

    def apply(self, config: Mapping[str, Any]) -> None:
        """Put the RayService as the config wants it, also after somebody edited it; without anything to serve there is none."""
        document = self.cache.get("RayService", self.namespace, RAY_SERVICE)
        names = wanted_names(config)
        self._idle, self._wanted = not names, None
        self.gateway.expect(names, closely=has_canary(config))
        if not names:
            if document is not None and not document["metadata"].get("deletionTimestamp"):
                self.api.delete("RayService", self.namespace, RAY_SERVICE, uid=document["metadata"]["uid"])
            return
        self._wanted = self._build(config)
        if document is None or not covers(document, self._wanted):
            self.cache.put(self.api.apply(self._wanted))


def covers(actual: Any, wanted: Any) -> bool:
    """Whether a document has all that another one asks for; defaults that a server has added do not count."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(key in actual and covers(actual[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(actual, list) and len(actual) == len(wanted) and all(covers(a, w) for a, w in zip(actual, wanted, strict=True))
    return bool(actual == wanted)


def _apps(document: Document) -> dict[str, AppSeen]:
    """The applications that answer now; while there are none, those of the cluster that is starting."""
    status = document.get("status") or {}
    for service in ("activeServiceStatus", "pendingServiceStatus"):
        applications = (status.get(service) or {}).get("applicationStatuses") or {}
        if applications:
            return {name: _see(app) for name, app in applications.items()}
    return {}


def _see(app: Document) -> AppSeen:
    deployments = (app.get("serveDeploymentStatuses") or {}).values()
    causes = [deployment["message"] for deployment in deployments if deployment.get("message")]
    text = " ".join([app.get("message") or "", *causes]).strip()
    return AppSeen(phase=PHASES.get(app.get("status", ""), "deploying"), message=last_line(text))  # type: ignore[arg-type]
