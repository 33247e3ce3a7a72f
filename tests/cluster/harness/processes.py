"""Start the processes of a test cluster so that none outlives the session, even one that is killed."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
STOP_TIMEOUT_S = 5.0
POLL_S = 0.1
LOG_TAIL_CHARS = 3000


class NotReadyError(Exception):
    """A process ended, or took too long, before it was ready; the message holds the end of its log."""


@dataclass
class Processes:
    """The processes that were started, ended in the reverse order."""

    folder: Path
    """Where their logs go."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a process that dies with this one. Call it from the main thread: Linux counts a thread's end as the parent's."""
        with self.log(name).open("ab") as output:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *command],
                env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin", **(environment or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self.folder / f"{name}.log"

    def wait_until(self, name: str, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return when `ready` says so. Raises NotReadyError."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            ended = self.running[name].poll()
            if ended is not None or time.monotonic() > deadline:
                state = f"not ready after {timeout_s:.0f} s" if ended is None else f"ended with {ended}"
                raise NotReadyError(f"{name}: {state}: {self.log(name).read_text(errors='replace')[-LOG_TAIL_CHARS:]}")
            time.sleep(POLL_S)

    def stop(self, name: str) -> None:
        """Ask a process to end, then make it."""
        process = self.running.pop(name)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            return
        process.kill()
        process.wait()

    def kill(self, name: str) -> None:
        """End a process at once, as a crash would."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop_all(self) -> None:
        """End every process, the last one first."""
        for name in reversed(list(self.running)):
            self.stop(name)
