import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import modelyard.cli.__main__
from modelyard.cli.session import read_settings
from modelyard.domain.errors import InvalidInputError
from modelyard.operator.store import ResourceStore

SLOW = ("ray", "torch", "transformers", "openai", "sqlalchemy", "pymilvus", "yaml", "fsspec", "huggingface_hub")
COMMANDS = (
    "up",
    "down",
    "status",
    "logs",
    "apply",
    "get",
    "describe",
    "wait",
    "rollout",
    "refresh",
    "data",
    "events",
    "chat",
    "delete",
    "version",
)


def test_help_lists_every_command(run: Callable[..., Result]) -> None:
    output = run("--help").output
    assert all(f"│ {command} " in output for command in COMMANDS)


@pytest.mark.parametrize("command", ["apply", "get", "describe", "wait", "refresh", "events", "chat", "delete"])
def test_every_command_has_examples(run: Callable[..., Result], command: str) -> None:
    output = run(command, "--help").output
    assert f"$ modelyard {command}" in output.partition("Examples:")[2]


def test_starting_imports_nothing_slow() -> None:
    code = f"import sys, modelyard.cli.main; print([name for name in {SLOW!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == []


def test_another_home(run: Callable[..., Result], store: ResourceStore, tmp_path: Path) -> None:
    result = run("--home", str(tmp_path / "other"), "get", "models")
    assert result.stderr == f"error: no platform here ({tmp_path}/other); run `modelyard up`, or name another with --home\n"


def test_usage_errors_have_their_own_exit_code(run: Callable[..., Result]) -> None:
    assert run("get").exit_code == 2
    assert run("gett", "models").exit_code == 2
    assert run("apply").exit_code == 2


def test_settings_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PORT", "http")
    with pytest.raises(InvalidInputError, match="^MODELYARD_PORT is 'http': Input should be a valid integer.*; correct it or unset it$"):
        read_settings(None)


def test_version(run: Callable[..., Result]) -> None:
    assert run("version").output.startswith("modelyard ")


def test_a_corrupt_platform_is_one_line(run: Callable[..., Result], world) -> None:
    world.settings.root.mkdir()
    world.settings.database.write_text("not a database " * 100)
    result = run("get", "models")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "platform.db is not a readable database" in result.stderr


def test_the_entry_point_is_there() -> None:
    assert callable(modelyard.cli.__main__.main)
