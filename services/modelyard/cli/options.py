"""Options and arguments that several commands share, and the examples below each help text."""

from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.kinds import ALL, KIND_WORDS, parse_kind
from modelyard.cli.session import Session, read_settings
from modelyard.domain.errors import ModelyardError


def examples(*commands: str) -> str:
    """The text below a help page; blank lines keep typer from joining the commands."""
    return "\n\n".join(["Examples:", *(f"$ modelyard {command}" for command in commands)])


def complete_words(context: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Shell completion of `KIND NAME`, `KIND/NAME` and `KIND,KIND`."""
    kind, slash, _ = incomplete.partition("/")
    given = context.params.get("words") or []
    if slash:
        return [f"{kind}/{name}" for name in _names(context, kind) if f"{kind}/{name}".startswith(incomplete)]
    if given:
        return [name for name in _names(context, given[0]) if name.startswith(incomplete)]
    others, comma, last = incomplete.rpartition(",")
    return [f"{others}{comma}{word}" for word in (*KIND_WORDS, ALL) if word.startswith(last)]


def complete_models(context: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Shell completion of model names."""
    return [name for name in _names(context, "model") if name.startswith(incomplete)]


def _names(context: typer.Context, word: str) -> list[str]:
    home: Path | None = context.find_root().params.get("home")
    try:
        # A warning would be taken for a completion.
        session = context.obj or Session(read_settings(home), is_running=lambda settings: True)
        return [resource.metadata.name for resource in session.store.list(parse_kind(word))]
    except ModelyardError:
        return []  # nothing to complete is no error at a prompt


Words = Annotated[list[str], typer.Argument(metavar="KIND NAME | KIND/NAME", autocompletion=complete_words, show_default=False)]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to look in.")]
Files = Annotated[
    list[str],
    typer.Option(
        "--filename",
        "-f",
        metavar="FILE|FOLDER|-",
        help="A manifest, a folder of manifests, or `-` for standard input.",
        show_default=False,
    ),
]
Recursive = Annotated[bool, typer.Option("--recursive", "-R", help="Look for manifests below the folder too.")]
Timeout = Annotated[str, typer.Option(metavar="SPAN", help="How long to wait, such as 90s, 10m or 1h30m.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on showing changes until Ctrl-C.")]
