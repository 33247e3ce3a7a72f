"""Start, find and end the processes of a local platform: Ray's head node and the Milvus Lite server."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from modelyard.domain.base import digest_of
from modelyard.domain.errors import ConflictError, UnavailableError
from modelyard.domain.machine import Machine, Machines
from modelyard.operator.environment import MARK
from modelyard.operator.settings import Settings

logger = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 256 << 20
STOP_TIMEOUT_S = 5.0
"""How long a process may take to end when asked. All that matters is on disk at any moment, so killing it loses nothing."""


def ray_folder(settings: Settings) -> Path:
    """Where Ray keeps sockets and logs. The name is short: paths of Unix sockets end at 107 bytes."""
    return Path(f"/tmp/modelyard-{digest_of(str(settings.root))[:8]}")


def ray_command(settings: Settings, gcs_port: int) -> list[str]:
    """Ray's head node, on loopback only."""
    return [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--node-ip-address=127.0.0.1", f"--port={gcs_port}"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={settings.dashboard_port}"),
        *(f"--dashboard-agent-listen-port={free_port()}", f"--dashboard-agent-grpc-port={free_port()}"),
        *(f"--ray-client-server-port={free_port()}", f"--metrics-export-port={free_port()}"),
        # 0: anywhere free. Ray's own range, 10002 to 19999, holds the ports that others like, Milvus's 19530 among them.
        *("--min-worker-port=0", "--max-worker-port=0"),
        *(f"--temp-dir={ray_folder(settings)}", f"--num-cpus={cores()}", f"--object-store-memory={OBJECT_STORE_BYTES}"),
        "--disable-usage-stats",
    ]


def milvus_command(settings: Settings) -> list[str]:
    """The Milvus Lite server: one process holds the folder's lock, so that several others can share it."""
    program = Path(sys.executable).with_name("milvus-lite")
    folder = settings.root / "milvus"
    folder.mkdir(parents=True, exist_ok=True)
    return [str(program), "server", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(settings.milvus_port)]


def start(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def find(settings: Settings, but: Iterable[int] = ()) -> list[psutil.Process]:
    """Every process that carries this platform's mark, but not this one nor those with the given pids."""
    home, but = str(settings.root), {os.getpid(), *but}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in but and _mark(process) == home:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue
    return found


def _mark(process: psutil.Process) -> str | None:
    """The home of the platform that a process belongs to; None for one of no platform."""
    block = Path(f"/proc/{process.pid}/environ")
    if not block.exists():  # no Linux
        return process.environ().get(MARK)
    # Ray's agents write their title over the first variables. psutil reads up to the first hole only.
    for variable in block.read_bytes().split(b"\0"):
        name, _, value = variable.partition(b"=")
        if name == MARK.encode():
            return os.fsdecode(value)
    return None


def end(processes: Iterable[psutil.Process], timeout_s: float = STOP_TIMEOUT_S) -> int:
    """Ask processes to end, then make them; returns how many there were."""
    processes = list(processes)
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            try:
                ask(process)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(processes, timeout=timeout_s)
        if not alive:
            break
    return len(processes)


def end_child(child: subprocess.Popen[bytes]) -> None:
    """Ask one's own child to end, then make it."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def require_free(port: int, option: str) -> None:
    """Raise ConflictError that names who listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return
        except OSError:
            holder = _listener(port)
    raise ConflictError(f"port {port} is taken by {holder}", f"stop that, or choose another with {option}")


def _listener(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"


def wait_for_port(port: int, child: subprocess.Popen[bytes], what: str, log: Path, timeout_s: float = 90.0) -> None:
    """Return once somebody listens; raise UnavailableError if the child ends first or time runs out."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise UnavailableError(f"{what} did not come up on port {port}: {last_line(log)}", f"see {log}")


def last_line(log: Path) -> str:
    """The last line of a log that says anything."""
    if not log.is_file():
        return "no output"
    lines = [line.strip() for line in log.read_text(errors="replace")[-4000:].splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machines() -> Machines:
    """This machine with its memory, which workers and engines without an accelerator have to fit into."""
    return Machines({"": Machine(psutil.virtual_memory().total / 2**30, {"CPU": cores()})})


def gpus() -> int:
    """NVIDIA GPUs that the driver lists."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
