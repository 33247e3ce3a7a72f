"""The operator's Lease in the API. Knows nothing of who should hold it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import urllib3
from kubernetes.client import ApiClient, CoordinationV1Api, V1Lease, V1LeaseSpec, V1ObjectMeta
from kubernetes.client.exceptions import ApiException

from modelyard.operator.labels import managed_labels
from modelyard.operator.leader import Hold, LeaseUnreachableError

LEASE_NAME = "modelyard-operator"
REQUEST_TIMEOUT_S = 5.0


class KubernetesLease:
    """A Lease by its name. The resourceVersion lets one of several writers win."""

    def __init__(self, client: ApiClient, namespace: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """now: what people read as the time of the renewal; nobody measures by it."""
        self._api, self._namespace, self._now = CoordinationV1Api(client), namespace, now

    def read(self) -> Hold | None:
        """What it says; None while there is none. Raises LeaseUnreachableError."""
        lease = self._call(self._api.read_namespaced_lease, LEASE_NAME, missing_ok=True)
        return None if lease is None else _hold(lease)

    def write(self, hold: Hold, before: Hold | None) -> Hold | None:
        """Replace what it said before (None: make it) and return it; None if somebody was faster. Raises LeaseUnreachableError."""
        spec = V1LeaseSpec(
            holder_identity=hold.holder,
            lease_duration_seconds=int(hold.lease_s),
            renew_time=self._now(),
        )
        metadata = V1ObjectMeta(name=LEASE_NAME, namespace=self._namespace, labels=managed_labels())
        lease = V1Lease(metadata=metadata, spec=spec)
        if before is None:
            written = self._call(self._api.create_namespaced_lease, body=lease, taken_ok=True)
        else:
            metadata.resource_version = before.version
            written = self._call(self._api.replace_namespaced_lease, LEASE_NAME, body=lease, taken_ok=True)
        return None if written is None else _hold(written)

    def _call(self, method: Any, *words: str, missing_ok: bool = False, taken_ok: bool = False, **fields: Any) -> Any:
        try:
            return method(*words, namespace=self._namespace, _request_timeout=REQUEST_TIMEOUT_S, **fields)
        except ApiException as error:
            if (error.status == 404 and missing_ok) or (error.status in (404, 409) and taken_ok):
                return None
            raise LeaseUnreachableError(f"{error.status} {error.reason}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise LeaseUnreachableError(type(error).__name__) from error


def _hold(lease: V1Lease) -> Hold:
    spec = lease.spec or V1LeaseSpec()
    return Hold(spec.holder_identity or "", float(spec.lease_duration_seconds or 0), lease.metadata.resource_version)
