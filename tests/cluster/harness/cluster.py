"""A Kubernetes API server as a test sees it: clients, kubectl, namespaces, service accounts, definitions, KubeRay."""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from harness import binaries, marker
from harness.clients import connect, disconnect, run_kubectl
from harness.control_plane import ControlPlane
from harness.kubeconfig import token_user, with_user, write_kubeconfig

FIELD_MANAGER = "modelyard-tests"
ESTABLISHED_TIMEOUT_S = 30
TOKEN_SECONDS = 3600


class CommandFailedError(Exception):
    """A kubectl command that had to succeed did not; the message holds what it said."""


@dataclass
class Cluster:
    """One API server. `control_plane` is None, and `identity` too, for a server that the tests did not start."""

    kubeconfig: Path
    home: Path
    identity: str | None
    control_plane: ControlPlane | None
    say: binaries.Say
    _clients: dict[Path, client.ApiClient] = field(default_factory=dict)
    _namespaces: list[str] = field(default_factory=list)
    _started: set[str] = field(default_factory=set)

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self.client().configuration.host)

    def client(self, kubeconfig: Path | None = None) -> client.ApiClient:
        """A client, the administrator's unless another kubeconfig is given. The cluster closes it. Raises ForeignClusterError."""
        path = kubeconfig or self.kubeconfig
        if path not in self._clients:
            api = connect(path)
            self._clients[path] = api
            if path == self.kubeconfig and self.identity is not None:
                try:
                    marker.check(api, self.identity)
                except marker.ForeignClusterError:
                    disconnect(self._clients.pop(path))
                    raise
        return self._clients[path]

    def kubectl(self, *words: str, stdin: str | None = None, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`kubectl WORDS…` as the administrator, or as the user of another kubeconfig. Raises ForeignClusterError."""
        self.client()
        return run_kubectl(kubeconfig or self.kubeconfig, self.home, *words, stdin=stdin)

    def apply(self, documents: Iterable[Mapping[str, Any]], namespace: str | None = None) -> None:
        """Server-side apply of any documents, as a user would. Raises CommandFailedError."""
        self._apply_text(yaml.safe_dump_all([dict(document) for document in documents]), namespace)

    def namespace(self, prefix: str = "test") -> str:
        """The name of a fresh namespace."""
        labels = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
        body = client.V1Namespace(metadata=client.V1ObjectMeta(generate_name=f"{prefix}-", labels=labels))
        name = str(client.CoreV1Api(self.client()).create_namespace(body).metadata.name)
        self._namespaces.append(name)
        return name

    def delete_namespace(self, name: str) -> None:
        """Ask for a namespace's deletion; the cluster takes its time."""
        self._namespaces.remove(name)
        client.CoreV1Api(self.client()).delete_namespace(name)

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """The kubeconfig of an existing service account: its token says who it is, RBAC what it may."""
        request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=None, expiration_seconds=TOKEN_SECONDS))
        token = client.CoreV1Api(self.client()).create_namespaced_service_account_token(service_account, namespace, request).status.token
        document = yaml.safe_load(self.kubeconfig.read_text())
        return write_kubeconfig(self.home / f"{namespace}.{service_account}.kubeconfig", with_user(document, token_user(token)))

    def apply_crds(self, source: Path | Iterable[str]) -> None:
        """Apply the definitions of a folder, or of YAML texts, and wait until they are served. Raises CommandFailedError."""
        texts = [path.read_text() for path in sorted(source.glob("*.yaml"))] if isinstance(source, Path) else source
        # The texts are not parsed here: KubeRay's are megabytes, for which Python takes longer than the server.
        names = self._apply_text("\n---\n".join(texts), None)
        done = self.kubectl("wait", "--for=condition=Established", f"--timeout={ESTABLISHED_TIMEOUT_S}s", *names)
        if done.returncode:
            raise CommandFailedError(done.stderr)

    def install_kuberay_crds(self) -> None:
        """Apply KubeRay's definitions; again is nothing."""
        if "kuberay-crds" not in self._started:
            self.apply_crds([path.read_text() for path in binaries.kuberay_crds(self.say)])
            self._started.add("kuberay-crds")

    def kuberay(self) -> None:
        """Run KubeRay's operator until `stop_kuberay`; again is nothing. Its Ray pods stay pending: there is no node."""
        self.install_kuberay_crds()
        self._start("ray-operator", lambda plane, binary: plane.start_kuberay(binary))

    def stop_kuberay(self) -> None:
        """End KubeRay's operator: where a test plays KubeRay, the real one must not join in."""
        if self.control_plane is not None and "ray-operator" in self._started:
            self.control_plane.processes.stop("ray-operator")
            self._started.discard("ray-operator")

    def scheduler(self) -> None:
        """Run the scheduler until the session ends; again is nothing."""
        self._start("kube-scheduler", lambda plane, binary: plane.start_scheduler(binary))

    def kwok(self) -> None:
        """Run kwok until the session ends; again is nothing. It plays nodes annotated `kwok.x-k8s.io/node: fake`."""
        self._start("kwok", lambda plane, binary: plane.start_nodes(binary))

    def close(self) -> None:
        """Close the clients; where the cluster stays, take back the namespaces."""
        if self.control_plane is None:
            for name in list(self._namespaces):
                self.delete_namespace(name)
        for api in self._clients.values():
            disconnect(api)
        self._clients.clear()

    def _apply_text(self, text: str, namespace: str | None) -> list[str]:
        scope = ("-n", namespace) if namespace else ()
        done = self.kubectl("apply", "--server-side", f"--field-manager={FIELD_MANAGER}", *scope, "-o", "name", "-f", "-", stdin=text)
        if done.returncode:
            raise CommandFailedError(done.stderr)
        return done.stdout.split()

    def _start(self, program: str, start: Callable[[ControlPlane, Path], None]) -> None:
        if program in self._started:
            return
        if self.control_plane is None:
            raise marker.ForeignClusterError(f"{self.server} was not started by these tests, so they do not run {program} against it")
        start(self.control_plane, binaries.ensure([program], self.say)[program])
        self._started.add(program)
