"""What a running platform says of itself, in `HOME/platform.json`, and the lock that keeps it single."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.domain.base import Spec
from modelyard.domain.errors import ConflictError
from modelyard.operator.settings import Settings

LOCK_TRIES = 5
LOCK_WAIT_S = 0.1


class PlatformState(Spec):
    """Where a running platform is reached."""

    pid: int
    """Of the process that holds the others."""
    phase: str
    """`starting` or `running`; `failed` with a message."""
    message: str = ""
    port: int
    dashboard_port: int
    milvus_port: int
    gcs_port: int = 0


def write_state(settings: Settings, state: PlatformState) -> None:
    """Replace what is said, whole."""
    path = _file(settings)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(state.wire(), indent=2))
    new.replace(path)


def read_state(settings: Settings) -> PlatformState | None:
    """What the running platform says; None if none runs."""
    if not is_locked(settings):
        return None
    try:
        return PlatformState.model_validate_json(_file(settings).read_text())
    except FileNotFoundError:
        return None


@contextmanager
def hold_lock(settings: Settings) -> Iterator[None]:
    """Be the one platform of this home. The kernel frees the lock however the process ends. Raises ConflictError."""
    settings.root.mkdir(parents=True, exist_ok=True)
    with _lock(settings).open("a") as stream:
        for left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # maybe only someone who looks, see is_locked
                if not left:
                    raise already_running(settings) from None
                time.sleep(LOCK_WAIT_S)
        yield


def is_locked(settings: Settings) -> bool:
    """Whether a platform of this home runs."""
    if not _lock(settings).exists():
        return False
    with _lock(settings).open("a") as stream:
        try:
            # Shared, so that two who look at once do not take each other for the platform.
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def already_running(settings: Settings) -> ConflictError:
    """The error for a second start."""
    return ConflictError(f"a platform already runs in {settings.root}", "use it (`modelyard status`) or end it (`modelyard down`)")


def _file(settings: Settings) -> Path:
    return settings.root / "platform.json"


def _lock(settings: Settings) -> Path:
    return settings.root / "platform.lock"
