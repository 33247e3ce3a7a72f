"""Wait for changes in the store, by asking it for its revision now and then."""

from collections.abc import Iterator

from modelyard.cli.session import Session

INTERVAL_S = 0.5


def changes(session: Session, until: float | None = None) -> Iterator[None]:
    """Yield at once and after every change of the store.

    until: a time of `session.monotonic` at which the iterator ends.
    """
    seen = session.store.revision()
    yield
    while until is None or session.monotonic() < until:
        session.sleep(INTERVAL_S if until is None else min(INTERVAL_S, max(0.0, until - session.monotonic())))
        revision = session.store.revision()
        if revision != seen:
            seen = revision
            yield
