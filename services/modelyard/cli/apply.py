"""`modelyard apply`: make the platform's resources those of the manifests."""

from typing import Annotated

import typer

from modelyard.cli.kinds import label_of
from modelyard.cli.options import Files, Recursive, examples
from modelyard.cli.session import Session, session_of
from modelyard.domain.resource import Resource

app = typer.Typer()


@app.command(
    epilog=examples("apply -f model.yaml", "apply -f manifests/ --dry-run", "get model support-bot -o yaml | modelyard apply -f -")
)
def apply(
    context: typer.Context,
    files: Files,
    recursive: Recursive = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the manifests and say what would change; change nothing.")] = False,
) -> None:
    """Create or change resources as manifests declare them.

    Every problem of every manifest is reported; with a problem, nothing is applied. Relative paths in a
    manifest are relative to its folder. The platform does the work; `modelyard wait` follows it.
    """
    from modelyard.cli.manifests import read_manifests

    session = session_of(context)
    resources = read_manifests(files, typer.get_text_stream("stdin"), recursive=recursive)
    for resource in resources:
        outcome = _preview(session, resource) if dry_run else session.store.apply(resource)
        session.say(f"{label_of(resource)} {outcome}{' (dry run)' if dry_run else ''}")


def _preview(session: Session, resource: Resource) -> str:
    """What applying would change. Manifests can be checked where no platform is."""
    from modelyard.operator.store import outcome_of

    if not session.settings.database.exists():
        return "valid"
    return outcome_of(resource, session.store.find(*resource.key))
