"""The operator of a cluster: `python -m modelyard.operator --config FILE`. Builds the parts and hands over to kopf."""

import argparse
import logging
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import config as kubernetes_config
from kubernetes.client import ApiClient, Configuration
from prometheus_client import CollectorRegistry, start_http_server

from modelyard.domain.errors import ModelyardError
from modelyard.operator.admission import judge
from modelyard.operator.admission_look import AdmissionLook
from modelyard.operator.admission_review import answer
from modelyard.operator.admission_server import AdmissionServer
from modelyard.operator.cluster_settings import ClusterSettings, read_settings
from modelyard.operator.controller import Controller, Timing
from modelyard.operator.discovery import Discovery
from modelyard.operator.handlers import Watches
from modelyard.operator.health import HealthServer
from modelyard.operator.kubernetes import Api
from modelyard.operator.kubernetes_lease import KubernetesLease
from modelyard.operator.labels import SERVE_SERVICE
from modelyard.operator.leader import Leader
from modelyard.operator.metrics import Metrics
from modelyard.operator.running import Running
from modelyard.operator.server_clock import ServerClock
from modelyard.operator.support_manifests import GATEWAY_PORT
from modelyard.operator.tenants import build_tenant
from modelyard.operator.watch_cache import WatchCache

WORKERS = 8
RETRIES = urllib3.Retry(connect=1, read=0, redirect=0, status=0, other=0, respect_retry_after_header=False)
"""A write is planned anew rather than sent again blindly. `Retry-After` is heeded where that is planned, and no thread sleeps."""
SIGNALS = {signal.SIGTERM, signal.SIGINT}
GATEWAY_URL = f"http://{SERVE_SERVICE}.{{namespace}}.svc:{GATEWAY_PORT}"


def main() -> int:
    """Run until SIGTERM; 0 then, 1 when the settings are wrong or it cannot start, 3 when the Lease was lost."""
    arguments = _parse()
    _set_up_logs(verbose=arguments.verbose)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    try:
        settings = read_settings(arguments.config)
        client = connect()
        admission = build_admission(settings, client, metrics, arguments.admission_port, arguments.admission_certificates)
    except ModelyardError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    # Threads inherit it: all signals wait for sigwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    controller = build_controller(settings, client, metrics, arguments.gateway_url, Timing(resync_s=arguments.resync_s))
    running = Running(
        controller,
        Watches(controller.on_event, Discovery(client), settings.namespaces),
        build_leader(client, arguments.lease_namespace),
        WORKERS,
        ended=_end_main_thread,
    )
    metrics.watch_queue(controller.queue.pending)
    metrics.watch_leadership(lambda: running.leads)
    start_http_server(arguments.metrics_port, registry=registry)
    health = HealthServer(arguments.health_port, {"/healthz": running.live, "/readyz": running.ready})
    health.start()
    if admission is not None:
        admission.start()
    running.start()
    signal.sigwait(SIGNALS)
    running.stop()
    if admission is not None:
        admission.stop()
    health.stop()
    return 1 if running.state == "failed" else 0


def build_leader(client: ApiClient, namespace: str | None) -> Leader | None:
    """A candidate for the Lease in a namespace; None without one. Its name is of this process: a host may run two."""
    if namespace is None:
        return None
    return Leader(KubernetesLease(client, namespace), f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}")


def build_admission(
    settings: ClusterSettings, client: ApiClient, metrics: Metrics, port: int, certificates: Path | None
) -> AdmissionServer | None:
    """What judges resources before they are stored; None without certificates. Raises NotFoundError where the folder has none."""
    if certificates is None:
        return None
    look = AdmissionLook(Api(client), settings)

    def reply(review: Mapping[str, Any]) -> dict[str, Any]:
        return answer(review, lambda request: judge(request, settings, look), metrics.count_review)

    return AdmissionServer(port, certificates, reply)


def connect() -> ApiClient:
    """A client by the pod's service account, else by KUBECONFIG."""
    try:
        kubernetes_config.load_incluster_config()
    except kubernetes_config.ConfigException:
        kubernetes_config.load_kube_config()
    configuration = Configuration.get_default_copy()
    configuration.connection_pool_maxsize = WORKERS
    configuration.retries = RETRIES
    return ApiClient(configuration)


def build_controller(
    settings: ClusterSettings,
    client: ApiClient,
    metrics: Metrics,
    gateway_url: str,
    timing: Timing,
    clock: ServerClock | None = None,
) -> Controller:
    """The controller with everything it stands on. clock: one that begins with another time than this machine's."""
    api, cache = Api(client, clock), WatchCache()
    return Controller(
        api,
        cache,
        lambda namespace: build_tenant(namespace, settings, api, cache, gateway_url),
        metrics,
        settings.namespaces,
        timing,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelyard.operator", description="Carry out Modelyard's resources on Kubernetes.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (YAML), a mounted ConfigMap")
    parser.add_argument("--health-port", type=int, default=8080, metavar="PORT", help="/healthz and /readyz (default: 8080)")
    parser.add_argument("--metrics-port", type=int, default=9090, metavar="PORT", help="/metrics (default: 9090)")
    parser.add_argument("--admission-port", type=int, default=8443, metavar="PORT", help="of the webhook, over HTTPS (default: 8443)")
    parser.add_argument(
        "--admission-certificates", type=Path, metavar="DIR", help="tls.crt and tls.key of the webhook; without it, there is none"
    )
    parser.add_argument("--lease-namespace", metavar="NAME", help="keep a Lease there, so that several replicas may run")
    parser.add_argument(
        "--gateway-url", default=GATEWAY_URL, metavar="URL", help="where the gateway of {namespace} answers (default: %(default)s)"
    )
    parser.add_argument(
        "--resync-s", type=float, default=Timing.resync_s, metavar="S", help="look at what is settled this often (default: %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="log what is tried again, too")
    return parser.parse_args()


def _set_up_logs(*, verbose: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("modelyard").setLevel(logging.INFO if verbose else logging.WARNING)
    # kopf tells each request that it repeats as an error. What fails for good is told by Watches.
    logging.getLogger("kopf").setLevel(logging.ERROR if verbose else logging.CRITICAL)


def _end_main_thread() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
