"""Show how a resource comes on: a bar on a terminal, one line a change elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from modelyard.cli.status import full_progress, message_of, phase_of, progress_of
from modelyard.domain.durations import format_duration
from modelyard.domain.resource import Resource

PERCENT_A_LINE = 10


class Display(Protocol):
    """Whatever shows progress."""

    def show(self, resource: Resource) -> None:
        """Show where a resource is now."""


@contextmanager
def open_progress(console: Console, name: str) -> Iterator[Display]:
    """The display that fits a console. name: what people call the resource."""
    if not console.is_terminal:
        yield _Lines(console, name)
        return
    columns = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[detail]}", markup=False),
    ]
    # Nothing changes between two looks, so no thread has to redraw.
    with Bar(*columns, console=console, auto_refresh=False, transient=True) as bar:
        yield _Bar(bar, name)


class _Bar:
    def __init__(self, bar: Bar, name: str) -> None:
        self.bar, self.name = bar, name
        self.task = bar.add_task(name, total=100, detail="")

    def show(self, resource: Resource) -> None:
        progress = progress_of(resource)
        detail = message_of(resource)
        if progress is not None:
            loss = "" if progress.loss is None else f"loss {progress.loss:.3f}  "
            detail = loss + ("" if progress.eta_seconds is None else f"{format_duration(progress.eta_seconds)} left")
        stage = progress.stage if progress and progress.stage else phase_of(resource).lower()
        self.bar.update(
            self.task,
            description=f"{self.name} {stage}",
            total=100 if progress else None,
            completed=progress.percent if progress else 0,
            detail=detail,
            refresh=True,
        )


class _Lines:
    def __init__(self, console: Console, name: str) -> None:
        self.console, self.name = console, name
        self.shown: tuple[str, str, int] | None = None

    def show(self, resource: Resource) -> None:
        progress, phase = progress_of(resource), phase_of(resource)
        text = full_progress(progress) if progress else message_of(resource)
        # The figures of a running job change with every look: every tenth percent is worth a line.
        state = (phase, progress.stage, int(progress.percent // PERCENT_A_LINE)) if progress else (phase, text, 0)
        if state != self.shown:
            self.shown = state
            self.console.print(f"{self.name} {phase}{': ' if text else ''}{text}", markup=False, soft_wrap=True)
