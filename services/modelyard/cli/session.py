"""What every command is given: settings, consoles, time, and the resources of the platform. No command knows where they come from."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer
from rich.console import Console, RenderableType
from rich.measure import Measurement

from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.operator.settings import Settings
from modelyard.operator.state import is_locked

if TYPE_CHECKING:
    from modelyard.operator.store import ResourceStore

PIPE_WIDTH = 100_000
"""Columns where no terminal is: programs want whole lines."""


def utc_now() -> datetime:
    """The time that ages are counted from."""
    return datetime.now(UTC)


@dataclass
class Session:
    """One run of the command."""

    settings: Settings
    out: Console = field(default_factory=lambda: _console(stderr=False))
    """What was asked for."""
    err: Console = field(default_factory=lambda: _console(stderr=True))
    """What people should know beside it."""
    clock: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    """Seconds."""
    sleep: Callable[[float], None] = time.sleep
    is_running: Callable[[Settings], bool] = is_locked
    """Whether the platform of these settings runs."""
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    """Room on the disk of a folder."""

    @cached_property
    def store(self) -> "ResourceStore":
        """The resources. Warns when nobody works on them; raises NotFoundError where there is no platform."""
        from modelyard.operator.store import ResourceStore

        if not self.settings.database.exists():
            raise NotFoundError(f"no platform here ({self.settings.root})", "run `modelyard up`, or name another with --home")
        if not self.is_running(self.settings):
            self.warn("the platform is not running; run `modelyard up`")
        return ResourceStore(self.settings.database)

    def warn(self, message: str) -> None:
        """One line for people beside the output."""
        self.err.print(f"warning: {message}", style="yellow", markup=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """One line of output, as it is."""
        self.out.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, renderable: RenderableType) -> None:
        """A table or text, whole: where the terminal is too narrow for it, the terminal breaks the lines."""
        unlimited = self.out.options.update(max_width=PIPE_WIDTH)
        self.out.width = max(self.out.width, Measurement.get(self.out, unlimited, renderable).minimum)
        self.out.print(renderable)

    def close(self) -> None:
        """Let go of what was opened."""
        if "store" in self.__dict__:
            self.store.close()


def read_settings(home: Path | None) -> Settings:
    """The settings of the environment, with another home where one is given. Raises InvalidInputError."""
    from pydantic import ValidationError

    try:
        return Settings() if home is None else Settings(home=home)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = f"MODELYARD_{str(first['loc'][0]).upper()}"
        raise InvalidInputError(f"{name} is {first['input']!r}: {first['msg']}", "correct it or unset it") from error


def session_of(context: typer.Context) -> Session:
    """The session that `main` made for this run."""
    return cast(Session, context.obj)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)
