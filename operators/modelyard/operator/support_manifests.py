"""Build what the pods of a namespace stand on: their account, their volume, their fences. Pure: plain dicts, no I/O.

There is no Role: pods get no rights, and KubeRay binds the one that its autoscaler needs. There is no ConfigMap: what
serving is told travels in the Serve config, and what a job is told in its run folder.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modelyard.operator.cluster_settings import ClusterSettings, Destination, Network
from modelyard.operator.labels import JOB_LABEL, RAY_SERVICE, managed_labels, service_labels

GATEWAY_PORT, DASHBOARD_PORT, METRICS_PORT, DNS_PORT = 8000, 8265, 8080, 53
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""Kubernetes', on every namespace."""


def build_service_account(namespace: str, settings: ClusterSettings) -> dict[str, Any]:
    """The account of every pod. Its token is mounted only where a pod asks for it."""
    account: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(settings.service_account, namespace),
        "automountServiceAccountToken": False,
    }
    if settings.image_pull_secrets:
        account["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return account


def build_volume_claim(namespace: str, settings: ClusterSettings) -> dict[str, Any] | None:
    """The claim that all pods mount; None where there is none or somebody else makes it."""
    claim = settings.volume_claim
    if claim is None or claim.size is None:
        return None
    spec: dict[str, Any] = {"accessModes": [claim.access_mode], "resources": {"requests": {"storage": claim.size}}}
    if claim.storage_class is not None:
        spec["storageClassName"] = claim.storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _metadata(claim.name, namespace), "spec": spec}


def build_network_policies(namespace: str, settings: ClusterSettings) -> list[dict[str, Any]]:
    """Two fences, or none where the settings ask for none.

    The namespace's own pods reach the gateway and nothing else of Ray, whose ports (6379, 8265, 10001 and random ones) are
    open only between the pods of serving, or between those of jobs. A NetworkPolicy cannot tell one job's pods from another's:
    Ray's token does.
    """
    network = settings.network
    if network is None:
        return []
    operators = [_namespace(name) for name in network.operator_namespaces]
    clients = [{"podSelector": {}}, *(_namespace(name) for name in network.client_namespaces)]
    serving, jobs = {"matchLabels": service_labels()}, {"matchExpressions": [{"key": JOB_LABEL, "operator": "Exists"}]}
    return [
        _policy(
            RAY_SERVICE,
            namespace,
            serving,
            [_open(clients, GATEWAY_PORT), _open(operators, GATEWAY_PORT, DASHBOARD_PORT)],
            network,
        ),
        _policy(f"{RAY_SERVICE}-jobs", namespace, jobs, [_open(operators, DASHBOARD_PORT)], network),
    ]


def _policy(name: str, namespace: str, pods: Mapping[str, Any], ingress: list[dict[str, Any]], network: Network) -> dict[str, Any]:
    among_themselves = {"podSelector": pods}
    metrics = [_open([_namespace(name) for name in network.metrics_namespaces], METRICS_PORT)] if network.metrics_namespaces else []
    lookups = {"ports": [{"port": DNS_PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(name, namespace),
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [among_themselves]}, *ingress, *metrics],
            "egress": [{"to": [among_themselves]}, lookups, *(_reach(place) for place in network.destinations)],
        },
    }


def _open(sources: Iterable[Mapping[str, Any]], *ports: int) -> dict[str, Any]:
    return {"from": list(sources), "ports": [_tcp(port) for port in ports]}


def _reach(place: Destination) -> dict[str, Any]:
    target = {"ipBlock": {"cidr": place.cidr}} if place.cidr else _namespace(place.namespace or "")
    return {"to": [target], "ports": [_tcp(port) for port in place.ports]}


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: name}}}


def _tcp(port: int) -> dict[str, Any]:
    return {"port": port, "protocol": "TCP"}


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": managed_labels()}
