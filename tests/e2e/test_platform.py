"""`up` and `down` on their own."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from modelyard.operator import processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_up_listens_on_loopback_only_and_down_leaves_nothing(empty_yard: Any) -> None:
    started = empty_yard.run("up")
    assert started.returncode == 0, started.stderr
    assert empty_yard.settings.endpoint in started.stdout
    addresses = {
        connection.laddr.ip
        for process in processes.find(empty_yard.settings)
        for connection in process.net_connections("tcp")
        if connection.status == "LISTEN"
    }
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert empty_yard.run("status").returncode == 0
    assert empty_yard.run("down").returncode == 0
    assert processes.find(empty_yard.settings) == []
    assert empty_yard.run("status").returncode == 1


def test_a_taken_port_is_told_before_anything_starts(empty_yard: Any) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", empty_yard.settings.port))
        holder.listen()
        refused = empty_yard.run("up")
    assert refused.returncode == 1
    assert f"port {empty_yard.settings.port} is taken" in refused.stderr and "--port" in refused.stderr
    assert processes.find(empty_yard.settings) == []


def test_ctrl_c_while_starting_leaves_nothing_running(empty_yard: Any) -> None:
    command = subprocess.Popen(
        [Path(sys.executable).with_name("modelyard"), "up"],
        env=empty_yard.environment,
        stderr=subprocess.PIPE,
        text=True,
        # As a terminal has it: a suite that runs in the background would hand down that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while len(processes.find(empty_yard.settings)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "Traceback" not in said
    assert processes.find(empty_yard.settings) == []
