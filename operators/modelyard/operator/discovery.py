"""Ask the API server which kinds it knows: their definitions may be installed after the operator. Knows nothing of their objects."""

import logging
from collections.abc import Iterable

import urllib3
from kubernetes.client import ApiClient, ApisApi, CustomObjectsApi
from kubernetes.client.exceptions import ApiException

from modelyard.operator.kubernetes import KINDS

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0


class Discovery:
    """What an API server says of itself. Everybody with an account may ask that, so it needs no rights."""

    def __init__(self, client: ApiClient) -> None:
        self._groups, self._kinds = ApisApi(client), CustomObjectsApi(client)

    def missing(self, kinds: Iterable[str]) -> set[str]:
        """The kinds that are not there; all of them while the API server does not answer."""
        kinds = set(kinds)
        try:
            groups = {group.name for group in self._groups.get_api_versions(_request_timeout=REQUEST_TIMEOUT_S).groups}
            versions = {KINDS[kind].api_version for kind in kinds}
            plurals = {version: self._plurals(*version.split("/")) for version in versions if version.partition("/")[0] in groups}
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            logger.info("the API server does not tell its kinds: %s", type(error).__name__)
            return kinds
        return {kind for kind in kinds if KINDS[kind].plural not in plurals.get(KINDS[kind].api_version, set())}

    def _plurals(self, group: str, version: str) -> set[str]:
        try:
            found = self._kinds.get_api_resources(group, version, _request_timeout=REQUEST_TIMEOUT_S)
        except ApiException as error:
            if error.status == 404:
                return set()
            raise
        return {resource.name for resource in found.resources}
