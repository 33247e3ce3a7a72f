"""A real platform in a home of its own: the demo is run once, left up, and shared by every test here."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard.operator import platform, processes
from modelyard.operator.settings import Settings

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "python-helper" / "demo.py"
MODELYARD = Path(sys.executable).with_name("modelyard")


@dataclass
class Yard:
    """A platform, and the command as a user types it."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,  # noqa: TID251 (inherited by the command)
            "MODELYARD_HOME": str(self.settings.root),
            "MODELYARD_PORT": str(self.settings.port),
            "MODELYARD_DASHBOARD_PORT": str(self.settings.dashboard_port),
            "MODELYARD_MILVUS_PORT": str(self.settings.milvus_port),
            "HF_HUB_OFFLINE": "1",
        }

    def run(self, *words: str | Path, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """`modelyard WORDS…`."""
        command = [str(MODELYARD), *map(str, words)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False)

    def demo(self) -> subprocess.CompletedProcess[str]:
        """`KEEP=1 make demo`."""
        command = [sys.executable, str(DEMO), "--keep"]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=1500, check=False)

    def report(self) -> dict[str, Any]:
        """What the demo wrote."""
        return dict(json.loads((self.settings.root / "demo" / "report.json").read_text()))


def new_yard(home: Path) -> Yard:
    """A home with ports that nobody uses."""
    ports = {name: processes.free_port() for name in ("port", "dashboard_port", "milvus_port")}
    return Yard(Settings(home=home).model_copy(update=ports))


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """The demo's platform, still up."""
    yard = new_yard(tmp_path_factory.mktemp("yard") / ".modelyard")
    try:
        done = yard.demo()
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{_daemon_log(yard)}"
        yield yard
    finally:
        platform.down(yard.settings)
        assert processes.find(yard.settings) == []


@pytest.fixture
def empty_yard(tmp_path: Path) -> Iterator[Yard]:
    """A home where nothing runs yet."""
    yard = new_yard(tmp_path / ".modelyard")
    yield yard
    platform.down(yard.settings)


def _daemon_log(yard: Yard) -> str:
    log = yard.settings.root / "logs" / "daemon.log"
    return log.read_text()[-4000:] if log.is_file() else "no daemon log"
