"""The `modelyard` command: global options, the list of commands, and errors as one line. Knows no resource.

Every command is imported for `--help` and for completion, so the command modules import what is slow
(SQLAlchemy, YAML, the OpenAI client) where they use it.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from modelyard.cli import apply, chat, data, delete, describe, events, get, model, plan, platform, refresh, rollout, wait
from modelyard.cli.options import examples
from modelyard.cli.session import Session, read_settings
from modelyard.domain.errors import ModelyardError

INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


class ErrorsAsLines(TyperGroup):
    """Prints what a person can act on without a traceback; anything else is a bug and keeps its own."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit code 1 after an error, 130 after Ctrl-C."""
        console = Console(stderr=True, highlight=False)
        try:
            return super().invoke(ctx)
        except ModelyardError as error:
            for line in str(error).splitlines():
                console.print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            console.print("interrupted")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="modelyard",
    cls=ErrorsAsLines,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog=examples("up", "apply -f model.yaml", "wait model/support-bot", 'chat support-bot "How do I reset my password?"'),
)
for command in (platform, plan, data, apply, get, describe, wait, rollout, refresh, events, chat, model, delete):
    app.add_typer(command.app)


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The folder of the platform (else MODELYARD_HOME, else ./.modelyard).", show_default=False),
    ] = None,
) -> None:
    """Take an open-weight language model through its whole life: fetch, fine-tune, score, serve, ground, retire."""
    if context.obj is None:
        context.obj = Session(read_settings(home))
    elif home is not None:
        context.obj.settings = read_settings(home)
    context.call_on_close(context.obj.close)


@app.command()
def version() -> None:
    """Print the version of this command."""
    from importlib.metadata import version as installed_version

    typer.echo(f"modelyard {installed_version('modelyard')}")
