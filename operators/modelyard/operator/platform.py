"""Start, end and describe the local platform, from outside its process."""

import subprocess
import sys
import time
from collections.abc import Callable

from modelyard.domain.errors import ConflictError, UnavailableError
from modelyard.operator import processes
from modelyard.operator.environment import platform_environment
from modelyard.operator.settings import Settings
from modelyard.operator.state import PlatformState, already_running, is_locked, read_state
from modelyard.operator.store import ResourceStore

START_TIMEOUT_S = 180.0
LOOK_INTERVAL_S = 0.2


def up(settings: Settings, tell: Callable[[str], None]) -> PlatformState:
    """Start the platform in the background and return once it reconciles.

    tell: called with what is being waited for. Raises ConflictError for a second start or a taken port,
    UnavailableError when a part does not come up; nothing is left running then, nor on Ctrl-C.
    """
    if is_locked(settings):
        raise already_running(settings)
    processes.end(processes.find(settings))  # left by a platform that was killed
    processes.require_free(settings.port, "--port")
    processes.require_free(settings.dashboard_port, "--dashboard-port")
    processes.require_free(settings.milvus_port, "--milvus-port")
    settings.root.mkdir(parents=True, exist_ok=True)
    ResourceStore(settings.database)
    environment = platform_environment(settings) | {
        "MODELYARD_PORT": str(settings.port),
        "MODELYARD_DASHBOARD_PORT": str(settings.dashboard_port),
        "MODELYARD_MILVUS_PORT": str(settings.milvus_port),
    }
    log = settings.root / "logs" / "daemon.log"
    daemon = processes.start([sys.executable, "-m", "modelyard.operator.daemon"], environment, log)
    try:
        return _wait_until_running(settings, daemon, tell)
    except BaseException:
        processes.end_child(daemon)
        processes.end(processes.find(settings))
        raise


def _wait_until_running(settings: Settings, daemon: subprocess.Popen[bytes], tell: Callable[[str], None]) -> PlatformState:
    log = settings.root / "logs" / "daemon.log"
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise UnavailableError(f"the platform did not start: {processes.last_line(log)}", f"see {log.parent}")
        state = read_state(settings)
        if state is not None and state.pid == daemon.pid:
            tell(state.message or state.phase)
            if state.phase == "running":
                return state
        time.sleep(LOOK_INTERVAL_S)
    raise UnavailableError(f"the platform is not up after {START_TIMEOUT_S:.0f} s: {processes.last_line(log)}", f"see {log.parent}")


def down(settings: Settings) -> int:
    """End exactly what `up` started; returns how many processes there were, 0 if none ran."""
    state = read_state(settings)
    found = processes.find(settings)
    if state is not None:
        processes.end([process for process in found if process.pid == state.pid], timeout_s=60.0)
    processes.end(processes.find(settings))
    if is_locked(settings):
        raise ConflictError(f"{settings.root} is still held by a process that cannot be ended", "end it as the user that started it")
    return len(found)
