"""Run etcd, an API server and a controller manager on loopback, in one folder. Knows no Python client of Kubernetes."""

import http.client
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.certificates import Authority, Pair
from harness.kubeconfig import build_kubeconfig, certificate_user, write_kubeconfig
from harness.processes import Processes
from modelyard.operator.processes import free_port

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
SERVICE_ADDRESSES = "10.96.0.0/16"
READY_TIMEOUT_S = 90.0


@dataclass
class ControlPlane:
    """One control plane and what is needed to reach it as an administrator."""

    folder: Path
    binaries: Mapping[str, Path]
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.processes = Processes(self.folder)
        self.authority = Authority(self.folder / "certificates")
        self.serving = self.authority.server("apiserver")
        self.admin = self.authority.client("admin", "modelyard-tests", "system:masters")
        self.accounts_key = self.authority.signing_key("service-accounts")
        self.kubeconfig = self.kubeconfig_of("admin", self.admin)

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.port}"

    def kubeconfig_of(self, name: str, pair: Pair) -> Path:
        """A file by which the holder of a certificate reaches the API server."""
        document = build_kubeconfig(self.server, self.authority.certificate, certificate_user(pair))
        return write_kubeconfig(self.folder / f"{name}.kubeconfig", document)

    def start(self) -> None:
        """Start the three programs and wait until the API server answers. Raises NotReadyError."""
        self.processes.start("etcd", self._etcd())
        self.start_server()
        self.start_controllers()

    def start_server(self) -> None:
        """Start the API server, or start it again on the same data."""
        self.processes.start("kube-apiserver", self._apiserver())
        self.processes.wait_until("kube-apiserver", self._answers, READY_TIMEOUT_S)

    def start_controllers(self) -> None:
        """Start what makes default service accounts, deletes namespaces, and follows owner references."""
        user = self.authority.client("controller-manager", "system:kube-controller-manager")
        self.processes.start("kube-controller-manager", self._controllers(self.kubeconfig_of("controller-manager", user)))

    def start_scheduler(self, binary: Path) -> None:
        """Start what binds pods to nodes. Without nodes it has nothing to do, so nobody starts it unasked."""
        user = self.authority.client("scheduler", "system:kube-scheduler")
        kubeconfig = self.kubeconfig_of("scheduler", user)
        options = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]
        self.processes.start("kube-scheduler", [str(binary), *options])

    def start_nodes(self, binary: Path) -> None:
        """Start kwok: it plays the kubelet of nodes that carry its annotation."""
        options = ("--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake")
        self.processes.start("kwok", [str(binary), f"--kubeconfig={self.kubeconfig}", *options])

    def start_kuberay(self, binary: Path, feature_gates: str = "") -> None:
        """Start KubeRay's operator, outside the cluster, and wait until it is ready to work. Raises NotReadyError."""
        probe = free_port()
        options = ["--enable-leader-election=false", "--metrics-addr=0", f"--health-probe-bind-address=127.0.0.1:{probe}"]
        options.append("--use-kubernetes-proxy")  # it runs outside the cluster, where no Service has an address
        if feature_gates:
            options.append(f"--feature-gates={feature_gates}")
        # Init containers and probes ask a head node that no kubelet runs here.
        environment = {"ENABLE_INIT_CONTAINER_INJECTION": "false", "ENABLE_PROBES_INJECTION": "false", "KUBECONFIG": str(self.kubeconfig)}
        self.processes.start("ray-operator", [str(binary), *options], environment)
        ready = _healthy(lambda: http.client.HTTPConnection("127.0.0.1", probe, timeout=2))
        self.processes.wait_until("ray-operator", ready, READY_TIMEOUT_S)

    def stop(self) -> None:
        """End everything that was started."""
        self.processes.stop_all()

    def _etcd(self) -> list[str]:
        client, peer = (f"unix://{self.folder / name}" for name in ("etcd.sock", "peer.sock"))
        return [
            *(str(self.binaries["etcd"]), f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"),
            *(f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"),
        ]

    def _apiserver(self) -> list[str]:
        return [
            *(str(self.binaries["kube-apiserver"]), f"--etcd-servers=unix://{self.folder / 'etcd.sock'}"),
            *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.port}"),
            *(f"--tls-cert-file={self.serving.certificate}", f"--tls-private-key-file={self.serving.key}"),
            *(f"--client-ca-file={self.authority.certificate}", "--authorization-mode=Node,RBAC", "--anonymous-auth=false"),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            *(f"--service-account-signing-key-file={self.accounts_key}", f"--service-account-key-file={self.accounts_key}"),
            *(f"--service-cluster-ip-range={SERVICE_ADDRESSES}", "--profiling=false"),
            # A single server need not tell others that it is there.
            "--endpoint-reconciler-type=none",
        ]

    def _controllers(self, kubeconfig: Path) -> list[str]:
        return [
            *(str(self.binaries["kube-controller-manager"]), f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"),
            *("--use-service-account-credentials", f"--service-account-private-key-file={self.accounts_key}"),
            *(f"--root-ca-file={self.authority.certificate}", f"--service-cluster-ip-range={SERVICE_ADDRESSES}"),
        ]

    def _answers(self) -> bool:
        trust = ssl.create_default_context(cafile=self.authority.certificate)
        trust.load_cert_chain(self.admin.certificate, self.admin.key)
        return _healthy(lambda: http.client.HTTPSConnection("127.0.0.1", self.port, timeout=2, context=trust))()


def _healthy(connect: Callable[[], http.client.HTTPConnection]) -> Callable[[], bool]:
    """Ask `/readyz` on a fresh connection."""

    def ready() -> bool:
        connection = connect()
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
