"""Recognize a full disk behind any error, and say which one it is. Knows nothing of jobs."""

import errno
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import fsspec

from modelyard.artifacts.staging import MeasureDisk
from modelyard.domain.errors import CapacityError

FULL = (errno.ENOSPC, errno.EDQUOT)
WORDS = "No space left on device"


def explain_full_disk(error: BaseException, places: Iterable[Path], measure: MeasureDisk = shutil.disk_usage) -> CapacityError | None:
    """The error to show if a full disk or quota is behind `error`, else None.

    places: where the job writes. The file that the error names decides, else the place with the least room.
    """
    cause = next((link for link in _chain(error) if _is_full(link)), None)
    if cause is None:
        return None
    named = getattr(cause, "filename", None)
    candidates = [Path(str(named))] if named else list(places)
    rooms = [(measure(_existing(place)).free, place) for place in candidates]
    free, place = min(rooms, default=(0, Path("/")))
    return CapacityError(
        f"the disk of {place} is full: {free / 2**20:.0f} MiB are free", "free some space, or point MODELYARD_HOME at a larger disk"
    )


def local_places(uri: str) -> list[Path]:
    """The path of a URI if it is on this machine, else nothing."""
    filesystem, path = fsspec.core.url_to_fs(uri)
    return [Path(path)] if "file" in filesystem.protocol else []


def _is_full(error: BaseException) -> bool:
    # Libraries in Rust and C++ (safetensors, torch) know no errno and pass the words on.
    return (isinstance(error, OSError) and error.errno in FULL) or WORDS in str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _existing(place: Path) -> Path:
    """The nearest folder above a path that exists."""
    return next(folder for folder in (place, *place.absolute().parents) if folder.exists())
