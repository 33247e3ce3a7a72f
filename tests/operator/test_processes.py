"""Finding and ending what a platform started, and nothing else."""

import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from modelyard.domain.errors import ConflictError, UnavailableError
from modelyard.operator import processes
from modelyard.operator.environment import MARK, platform_environment, ray_token_file
from modelyard.operator.settings import Settings
from modelyard.operator.state import PlatformState, hold_lock, read_state, write_state

SLEEPER = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print('up'); time.sleep(600)"
)

RENAMED = (
    "import ctypes, time; variables = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), 'environ');"
    " ctypes.memset(variables[0], 0, 80); print('up'); time.sleep(600)"
)
"""As Ray's agents do: zeros over the start of what `/proc/PID/environ` shows."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", port=18000, dashboard_port=18265, milvus_port=19531)


def test_only_processes_of_this_home_are_found_and_ended_with_their_children(settings: Settings, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "other")
    ours, theirs = [
        subprocess.Popen([sys.executable, "-uc", SLEEPER], env=platform_environment(s), stdout=subprocess.PIPE) for s in (settings, other)
    ]
    try:
        for process in (ours, theirs):
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
            process.stdout.close()
        found = {process.pid for process in processes.find(settings)}
        assert ours.pid in found and theirs.pid not in found and len(found) == 2
        assert processes.end(processes.find(settings), timeout_s=10) == 2
        ours.wait(10)
        assert processes.find(settings) == []
        assert theirs.poll() is None
    finally:
        processes.end(processes.find(other), timeout_s=10)
        ours.wait(10)
        theirs.wait(10)


@pytest.mark.skipif(sys.platform != "linux", reason="no Linux: there is no /proc, and titles are not written over the environment")
def test_a_process_that_wrote_its_title_over_its_first_variables_is_found_all_the_same(settings: Settings) -> None:
    titled = subprocess.Popen(
        [sys.executable, "-uc", RENAMED],
        env={"OVERWRITTEN": "x" * 100} | platform_environment(settings),
        stdout=subprocess.PIPE,
    )
    try:
        assert titled.stdout is not None and titled.stdout.readline() == b"up\n"
        titled.stdout.close()
        assert [process.pid for process in processes.find(settings)] == [titled.pid]
    finally:
        titled.kill()
        titled.wait(10)


def test_a_taken_port_names_its_holder_and_the_option() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConflictError, match=rf"port {port} is taken by .*{psutil.Process().name()}.*choose another with --port"):
            processes.require_free(port, "--port")
    processes.require_free(port, "--port")


def test_a_child_that_ends_early_is_reported_with_its_last_line(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    child = processes.start([sys.executable, "-c", "raise SystemExit('no such disk')"], {}, log)
    with pytest.raises(UnavailableError, match="no such disk"):
        processes.wait_for_port(processes.free_port(), child, "child", log)


def test_the_token_is_made_once_and_only_its_owner_can_read_it(settings: Settings) -> None:
    path = ray_token_file(settings)
    token = path.read_text()
    assert len(token) == 64
    assert ray_token_file(settings).read_text() == token
    assert path.stat().st_mode & 0o077 == 0
    environment = platform_environment(settings)
    assert token not in environment.values()
    assert environment[MARK] == str(settings.root)


def test_ray_and_milvus_are_told_to_stay_on_loopback(settings: Settings) -> None:
    ray = processes.ray_command(settings, 1234)
    assert "--node-ip-address=127.0.0.1" in ray and "--dashboard-host=127.0.0.1" in ray
    assert ["--host", "127.0.0.1"] == processes.milvus_command(settings)[-4:-2]
    temporary = next(option for option in ray if option.startswith("--temp-dir=")).removeprefix("--temp-dir=")
    assert len(temporary) < 40


def test_the_state_is_there_only_while_the_lock_is_held(settings: Settings) -> None:
    state = PlatformState(pid=1, phase="running", port=1, dashboard_port=2, milvus_port=3)
    with hold_lock(settings):
        write_state(settings, state)
        assert read_state(settings) == state
        with pytest.raises(ConflictError, match="already runs"), hold_lock(settings):
            pass
    assert read_state(settings) is None


def test_a_laptop_is_the_one_machine_that_there_is() -> None:
    machines = processes.machines()
    assert machines.name_of("any profile") == ""
    assert machines.kinds[""].memory_gib == psutil.virtual_memory().total / 2**30 and machines.kinds[""].resources["CPU"] >= 1
