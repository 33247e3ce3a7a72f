"""The operator as it runs in a pod: a process with a settings file and a kubeconfig."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

import pytest
import yaml

from modelyard.operator.cluster_settings import ClusterSettings

STOP_TIMEOUT_S = 15.0
LEAVES_CONNECTIONS = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
]
"""For tests with a process behind the proxy: that ends with its loop, and connections just left open complain when collected."""


class OperatorProcess:
    """`python -m modelyard.operator`; ended with the block, and then its exit code has to be 0 unless it was ended before."""

    def __init__(self, kubeconfig: Path, settings: ClusterSettings, folder: Path, *words: str, gateway_url: str) -> None:
        self.name = f"operator-{len(list(folder.glob('operator-*.yaml')))}"
        config = folder / f"{self.name}.yaml"
        config.write_text(yaml.safe_dump(settings.wire()))
        self.health_port, self.metrics_port = _free_port(), _free_port()
        self._log = folder / f"{self.name}.log"
        self._command = [
            *(sys.executable, "-m", "modelyard.operator", "--config", str(config)),
            *("--health-port", str(self.health_port), "--metrics-port", str(self.metrics_port)),
            *("--gateway-url", gateway_url, *words),
        ]
        self._environment = {"KUBECONFIG": str(kubeconfig), "HOME": str(folder), "PATH": "/usr/bin:/bin"}
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            code = self.stop()
            assert kind or code == 0, self.log()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        """SIGKILL, as a node that dies."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def ended(self) -> int | None:
        """The exit code; None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def log(self) -> str:
        return self._log.read_text()

    def health(self, path: str) -> int:
        """Status of a probe; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code)
        except OSError:
            return 0

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
