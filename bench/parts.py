"""The processes of the operator's benchmark: the operator itself, and who plays what it works with."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from modelyard.operator.processes import free_port
from operating import build_settings

HERE = Path(__file__).parent
HARNESS = HERE.parent / "tests" / "cluster"
END_S = 20.0


class Part:
    """A process whose CPU time and memory are asked for."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self._usage = process, psutil.Process(process.pid)

    def cpu_s(self) -> float:
        """Seconds of CPU so far, of all threads."""
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def rss_mib(self) -> float:
        """Resident memory now."""
        return float(self._usage.memory_info().rss / 2**20)

    def peak_rss_mib(self) -> float:
        """The most resident memory so far."""
        status = Path(f"/proc/{self.process.pid}/status")
        words = (
            next((line.split() for line in status.read_text().splitlines() if line.startswith("VmHWM")), None) if status.exists() else None
        )
        return int(words[1]) / 2**10 if words else self.rss_mib()


def environment(kubeconfig: Path) -> dict[str, str]:
    """This process's, with one kubeconfig and the harness importable."""
    inherited = dict(os.environ)  # noqa: TID251 (the machine's own)
    return inherited | {
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": os.pathsep.join([str(HARNESS), *filter(None, [inherited.get("PYTHONPATH")])]),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


@contextlib.contextmanager
def start_player(kubeconfig: Path, folder: Path, port: int) -> Iterator[Part]:
    """KubeRay, the jobs and the gateways; they answer at `http://127.0.0.1:PORT/NAMESPACE`."""
    words = [f"--kubeconfig={kubeconfig}", f"--runs={folder / 'runs'}", f"--port={port}"]
    with _running([str(HERE / "fast_player.py"), *words], kubeconfig, subprocess.PIPE) as part:
        assert part.process.stdout is not None
        part.process.stdout.readline()
        yield part


@contextlib.contextmanager
def start_operator(kubeconfig: Path, folder: Path, gateway_port: int, resync_s: float) -> Iterator[Part]:
    """`python -m modelyard.operator` over all namespaces; what it logs goes to operator.log."""
    settings = folder / "operator.yaml"
    document = build_settings(folder, "none").wire() | {"namespaces": []}
    settings.write_text(yaml.safe_dump(document))
    words = [
        *("-m", "modelyard.operator", f"--config={settings}", f"--gateway-url=http://127.0.0.1:{gateway_port}/{{namespace}}"),
        *(f"--health-port={free_port()}", f"--metrics-port={free_port()}", f"--resync-s={resync_s}"),
    ]
    with (folder / "operator.log").open("a") as log, _running(words, kubeconfig, log) as part:
        yield part


def send_writes(sequences: list[list[dict[str, Any]]], kubeconfig: Path, folder: Path) -> dict[str, float]:
    """{"seconds", "writes", "cpu_s"} of the writes of many Models, sent by the operator's client. Raises CalledProcessError."""
    prepared = folder / "writes.json"
    prepared.write_text(json.dumps(sequences))
    command = [sys.executable, str(HERE / "bound.py"), str(prepared)]
    done = subprocess.run(command, env=environment(kubeconfig), stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


@contextlib.contextmanager
def _running(words: list[str], kubeconfig: Path, output: Any) -> Iterator[Part]:
    error = None if output is subprocess.PIPE else subprocess.STDOUT
    process = subprocess.Popen([sys.executable, *words], env=environment(kubeconfig), stdout=output, stderr=error, text=True)
    try:
        yield Part(process)
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
