"""Make API clients and kubectl commands that see one kubeconfig and nothing else of the machine."""

import subprocess
import sys
from pathlib import Path

from kubernetes import client, config

KUBECTL = Path(sys.executable).with_name("kubectl")
KUBECTL_TIMEOUT_S = 60


def connect(kubeconfig: Path) -> client.ApiClient:
    """A client of the server in a kubeconfig. The machine's HTTP proxy is not asked: the server is on loopback."""
    configuration = client.Configuration()
    config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration, persist_config=False)
    configuration.proxy = None
    return client.ApiClient(configuration)


def disconnect(api: client.ApiClient) -> None:
    """Close the connections that a client keeps."""
    api.close()
    api.rest_client.pool_manager.clear()


def run_kubectl(kubeconfig: Path, home: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`kubectl WORDS…` with a home of its own; a failure is the caller's to judge, by `returncode` and `stderr`."""
    command = [str(KUBECTL), f"--kubeconfig={kubeconfig}", f"--cache-dir={home / 'kubectl-cache'}", *words]
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=KUBECTL_TIMEOUT_S, check=False, cwd=home
    )
