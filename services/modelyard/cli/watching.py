"""Wait for changes in the store, by asking it for its revision now and then."""

from collections.abc import Iterator

from modelyard.cli.session import Session
from modelyard.domain.errors import CapacityError, UnavailableError

INTERVAL_S = 0.5
LEAST_FREE_BYTES = 1 << 20
"""With less than this, the platform cannot write down what happens."""


def changes(session: Session, until: float | None = None) -> Iterator[None]:
    """Yield at once and after every change of the store.

    until: a time of `session.monotonic` at which the iterator ends. Raises UnavailableError when the platform ends
    meanwhile, CapacityError when its disk is full: no change would come any more.
    """
    seen = session.store.revision()
    ran = session.is_running(session.settings)
    yield
    while until is None or session.monotonic() < until:
        session.sleep(INTERVAL_S if until is None else min(INTERVAL_S, max(0.0, until - session.monotonic())))
        revision = session.store.revision()
        if revision == seen:
            _refuse_to_wait_in_vain(session, ran)
        else:
            seen = revision
            yield


def _refuse_to_wait_in_vain(session: Session, ran: bool) -> None:
    home = session.settings.root
    if session.free_bytes(home) < LEAST_FREE_BYTES:
        raise CapacityError(f"the disk of {home} is full", "free some space; the platform goes on by itself then")
    if ran and not session.is_running(session.settings):
        raise UnavailableError(f"the platform in {home} has ended", f"run `modelyard up` to go on; {home}/logs may say why")
