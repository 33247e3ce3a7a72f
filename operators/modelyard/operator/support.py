"""Keep what the pods of a namespace stand on as it should be: their account, their volume, their fences."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.kubernetes import Api, RefusedError
from modelyard.operator.kubernetes_serving import covers
from modelyard.operator.support_manifests import build_network_policies, build_service_account, build_volume_claim

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 600.0


class Support:
    """The objects of one namespace that are neither jobs nor serving."""

    def __init__(self, api: Api, namespace: str, settings: ClusterSettings) -> None:
        self.api, self.namespace = api, namespace
        claim = build_volume_claim(namespace, settings)
        self._wanted = [
            build_service_account(namespace, settings),
            *([claim] if claim else []),
            *build_network_policies(namespace, settings),
        ]
        self._looked_at = -LOOK_AGAIN_S

    def ensure(self) -> None:
        """Write what is missing or was edited; looks at most every ten minutes. Raises RefusedError, RetryLaterError."""
        if time.monotonic() - self._looked_at < LOOK_AGAIN_S:
            return
        for wanted in self._wanted:
            actual = self.api.get(wanted["kind"], self.namespace, wanted["metadata"]["name"])
            if actual is None or not covers(actual, wanted):
                self._put_back(wanted, is_there=actual is not None)
        self._looked_at = time.monotonic()

    def _put_back(self, wanted: Mapping[str, Any], *, is_there: bool) -> None:
        """What is there and cannot be changed, such as a claim that somebody made larger, is no reason to serve nothing."""
        try:
            self.api.apply(wanted)
        except RefusedError as error:
            if not is_there:
                raise
            logger.warning("%s %s stays as it is: %s", wanted["kind"], wanted["metadata"]["name"], error)
