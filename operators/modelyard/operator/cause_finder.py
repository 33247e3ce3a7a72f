"""Read what tells why a RayJob or RayService does not run. Decides nothing: `causes` does."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelyard.operator.cause import Cause
from modelyard.operator.causes import ClusterSeen, find_cause
from modelyard.operator.kubernetes import Api
from modelyard.operator.labels import RAY_CLUSTER_LABEL

PATIENCE_S = 5.0
"""What was made just now needs no explanation yet."""
LOOK_AGAIN_S = 10.0

Document = Mapping[str, Any]


class CauseFinder:
    """Looks into one namespace, at most every ten seconds, however many jobs wait there."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self._born: dict[str, float] = {}
        self._found: dict[str, tuple[float, str, Cause | None]] = {}
        self._looked_at = -LOOK_AGAIN_S
        self._seen = ClusterSeen()

    def find(self, root: Document) -> Cause | None:
        """Why it does not run or how it ended; None while it is new, or where nothing is known to be wrong."""
        uid, version = root["metadata"]["uid"], str(root["metadata"].get("resourceVersion", ""))
        ended = (root.get("status") or {}).get("jobDeploymentStatus") in ("Failed", "Complete")
        now = time.monotonic()
        if not ended and now - self._born.setdefault(uid, now) < PATIENCE_S:
            return None
        decided_at, seen_version, cause = self._found.get(uid, (-LOOK_AGAIN_S, "", None))
        news = ended and version != seen_version
        if news or now - decided_at >= LOOK_AGAIN_S:
            if news or now - self._looked_at >= LOOK_AGAIN_S:
                self._look()
            cause = find_cause(replace(self._seen, root=root))
            self._found[uid] = (now, version, cause)
        return cause

    def _look(self) -> None:
        pods = self.api.list("Pod", self.namespace, selector=RAY_CLUSTER_LABEL)
        pending = any((pod.get("status") or {}).get("phase") == "Pending" for pod in pods)
        self._seen = ClusterSeen(
            clusters=self.api.list("RayCluster", self.namespace),
            pods=pods,
            events=self.api.list("Event", self.namespace),
            claims=self.api.list("PersistentVolumeClaim", self.namespace) if pending else (),
            logs={pod["metadata"]["name"]: self._log(pod) for pod in pods if _has_crashed(pod)},
        )
        self._looked_at = time.monotonic()

    def _log(self, pod: Document) -> str:
        return self.api.log_tail(self.namespace, pod["metadata"]["name"], pod["spec"]["containers"][0]["name"])


def _has_crashed(pod: Document) -> bool:
    states = [
        state
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        for state in (status.get("state") or {}, status.get("lastState") or {})
    ]
    return any((state.get("terminated") or {}).get("exitCode") for state in states)
