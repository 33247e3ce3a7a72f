"""The first moments of the command."""

import signal
import subprocess
import sys

INTERRUPT_AT_IMPORT = """
import builtins, os, signal
from modelyard.cli.__main__ import main
real = builtins.__import__
def interrupt(name, *rest):
    if name == "modelyard.cli.main":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest)
builtins.__import__ = interrupt
main()
"""


def start(handler: signal.Handlers, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", INTERRUPT_AT_IMPORT, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )


def test_ctrl_c_while_the_command_is_imported_prints_no_traceback() -> None:
    ended = start(signal.SIG_DFL, "version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_a_command_that_was_started_to_ignore_ctrl_c_goes_on() -> None:
    ended = start(signal.SIG_IGN, "version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("modelyard ")
