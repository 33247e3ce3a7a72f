"""`modelyard events`: what happened to resources."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from modelyard.cli.durations import format_age
from modelyard.cli.kinds import label, parse_key
from modelyard.cli.options import Namespace, Watch, complete_words, examples
from modelyard.cli.session import session_of
from modelyard.cli.tables import plain_table
from modelyard.cli.watching import changes

if TYPE_CHECKING:
    from modelyard.operator.store import Event

app = typer.Typer()


@app.command(epilog=examples("events", "events model/support-bot", "events --watch"))
def events(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KIND NAME | KIND/NAME]", autocompletion=complete_words, show_default=False)
    ] = None,
    watch: Watch = False,
    namespace: Namespace = "default",
) -> None:
    """Show what happened, the latest last: transitions, retries, failures and their causes."""
    session = session_of(context)
    key = parse_key(words, namespace) if words else None
    if key:
        session.store.get(*key)
    printed: set[tuple[object, ...]] = set()
    for _ in changes(session, until=None if watch else session.monotonic()):
        new = [event for event in session.store.events(key) if _identity(event) not in printed]
        if new:
            session.show(events_table(new, session.clock(), named=key is None))
        elif not printed and not watch:
            session.err.print("no events")
        printed |= {_identity(event) for event in new}


def events_table(found: "Iterable[Event]", now: datetime, *, named: bool) -> Table:
    """The table of events. named: with the resource of each."""
    headers = ["LAST SEEN", "TYPE", "REASON", *(["OBJECT"] if named else []), "COUNT", "MESSAGE"]
    rows = []
    for event in found:
        of = [label((event.kind, event.namespace, event.name))] if named else []
        rows.append([format_age(event.last_seen, now), event.type, event.reason, *of, str(event.count), event.message])
    return plain_table(headers, rows)


def _identity(event: "Event") -> tuple[object, ...]:
    return event.kind, event.namespace, event.name, event.type, event.reason, event.message, event.count
