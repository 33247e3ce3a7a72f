"""`modelyard delete`: ask the platform to clean up resources and let them go."""

from typing import Annotated

import typer

from modelyard.cli.kinds import Key, label, label_of, parse_keys
from modelyard.cli.options import Namespace, Recursive, Timeout, complete_words, examples
from modelyard.cli.session import Session, session_of
from modelyard.cli.wait import Goal, wait_for
from modelyard.domain.durations import parse_duration
from modelyard.domain.errors import InvalidInputError, NotFoundError

app = typer.Typer()


@app.command(epilog=examples("delete model support-bot", "delete kb/handbook ev/nightly --no-wait", "delete -f manifests/"))
def delete(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KIND NAME | KIND/NAME]", autocompletion=complete_words, show_default=False)
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--filename", "-f", metavar="FILE|FOLDER|-", help="Delete what these manifests declare.", show_default=False),
    ] = None,
    recursive: Recursive = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until they are gone.")] = True,
    timeout: Timeout = "5m",
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found", help="Do not fail for what is not there.")] = False,
    namespace: Namespace = "default",
) -> None:
    """Delete resources: stop their jobs, take them out of service, remove their versions and indexes.

    Artifacts that another resource uses stay.
    """
    from modelyard.cli.manifests import read_manifests

    session = session_of(context)
    if bool(words) == bool(files):
        raise InvalidInputError("what to delete is not clear", "name resources (KIND NAME, KIND/NAME) or manifests (-f), and not both")
    if words:
        keys = parse_keys(words, namespace)
    else:
        keys = [resource.key for resource in read_manifests(files or [], typer.get_text_stream("stdin"), recursive=recursive)]
    there = [key for key in keys if _is_there(session, key, ignore=ignore_not_found)]
    for key in there:
        session.store.request_deletion(key)
    _report(session, there, wait=wait, timeout_s=parse_duration(timeout))


def _is_there(session: Session, key: Key, *, ignore: bool) -> bool:
    """Whether a resource can be deleted. Raises before anything is deleted."""
    try:
        resource = session.store.get(*key)
    except NotFoundError:
        if ignore:
            return False
        raise
    owners = resource.metadata.owner_references
    if owners:
        model = f"{owners[0].kind.lower()}/{owners[0].name}"
        raise InvalidInputError(
            f"{label_of(resource)} belongs to {model}, which would make it again",
            f"delete {model}, or lower its spec.retention.keepVersions",
        )
    return True


def _report(session: Session, keys: list[Key], *, wait: bool, timeout_s: float) -> None:
    if not wait or (keys and not session.is_running(session.settings)):
        for key in keys:
            session.say(f"{label(key)} marked for deletion")
        return
    deadline = session.monotonic() + timeout_s
    for key in keys:
        wait_for(session, key, Goal("delete"), deadline - session.monotonic())
        session.say(f"{label(key)} deleted")
