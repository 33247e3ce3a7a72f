"""Tell a cluster that these tests made from any other: nothing is written to a cluster without the session's marker."""

from kubernetes import client

NAMESPACE = "kube-system"
NAME = "modelyard-test-cluster"
KEY = "id"


class ForeignClusterError(Exception):
    """The server is not the one that this session started."""


def plant(api: client.ApiClient, identity: str) -> None:
    """Write the session's id into a cluster that has just been started."""
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=NAME), data={KEY: identity})
    client.CoreV1Api(api).create_namespaced_config_map(NAMESPACE, body)


def check(api: client.ApiClient, identity: str) -> None:
    """Read the marker. Raises ForeignClusterError where it is absent or another session's."""
    try:
        found = client.CoreV1Api(api).read_namespaced_config_map(NAME, NAMESPACE).data or {}
    except client.ApiException as error:
        raise ForeignClusterError(f"{api.configuration.host} has no readable ConfigMap {NAMESPACE}/{NAME}: {error.reason}") from error
    if found.get(KEY) != identity:
        raise ForeignClusterError(f"{api.configuration.host} belongs to the test session {found.get(KEY)!r}, this one is {identity!r}")
