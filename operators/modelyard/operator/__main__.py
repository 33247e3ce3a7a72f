"""The operator of a cluster: `python -m modelyard.operator --config FILE`. Builds the parts and hands over to kopf."""

import argparse
import logging
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import kopf
import urllib3
from kubernetes import config as kubernetes_config
from kubernetes.client import ApiClient, Configuration
from prometheus_client import CollectorRegistry, start_http_server

from modelyard.domain.errors import ModelyardError
from modelyard.operator.cluster_settings import ClusterSettings, read_settings
from modelyard.operator.controller import Controller, Timing
from modelyard.operator.handlers import build_registry
from modelyard.operator.kubernetes import Api
from modelyard.operator.labels import SERVE_SERVICE
from modelyard.operator.leader import Leader
from modelyard.operator.metrics import Metrics
from modelyard.operator.support_manifests import GATEWAY_PORT
from modelyard.operator.tenants import build_tenant
from modelyard.operator.watch_cache import WatchCache

WORKERS = 8
GATEWAY_URL = f"http://{SERVE_SERVICE}.{{namespace}}.svc:{GATEWAY_PORT}"


def main() -> int:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m modelyard.operator", description="Carry out Modelyard's resources on Kubernetes.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (YAML), a mounted ConfigMap")
    parser.add_argument("--health-port", type=int, default=8080, metavar="PORT", help="/healthz (default: 8080)")
    parser.add_argument("--metrics-port", type=int, default=9090, metavar="PORT", help="/metrics (default: 9090)")
    parser.add_argument("--lease-namespace", metavar="NAME", help="keep a Lease there, so that several replicas may run")
    parser.add_argument(
        "--gateway-url", default=GATEWAY_URL, metavar="URL", help="where the gateway of {namespace} answers (default: %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="log what is tried again, too")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("modelyard").setLevel(logging.INFO if arguments.verbose else logging.WARNING)
    try:
        settings = read_settings(arguments.config)
    except ModelyardError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    registry = CollectorRegistry()
    controller = build_controller(settings, connect(), Metrics(registry), arguments.gateway_url, Timing())
    leader = Leader(arguments.lease_namespace, socket.gethostname()) if arguments.lease_namespace else None
    start_http_server(arguments.metrics_port, registry=registry)
    kopf.run(
        registry=build_registry(controller, leader, WORKERS),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        liveness_endpoint=f"http://0.0.0.0:{arguments.health_port}/healthz",
    )
    return 0


def connect() -> ApiClient:
    """A client by the pod's service account, else by KUBECONFIG."""
    try:
        kubernetes_config.load_incluster_config()
    except kubernetes_config.ConfigException:
        kubernetes_config.load_kube_config()
    configuration = Configuration.get_default_copy()
    configuration.connection_pool_maxsize = WORKERS
    # A write is planned anew rather than sent again blindly.
    configuration.retries = urllib3.Retry(connect=1, read=0, redirect=0, status=0, other=0)
    return ApiClient(configuration)


def build_controller(settings: ClusterSettings, client: ApiClient, metrics: Metrics, gateway_url: str, timing: Timing) -> Controller:
    """The controller with everything it stands on."""
    api, cache = Api(client), WatchCache()

    def now() -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return Controller(
        api,
        cache,
        lambda namespace: build_tenant(namespace, settings, api, cache, gateway_url, now),
        metrics,
        settings.namespaces,
        timing,
    )


if __name__ == "__main__":
    sys.exit(main())
