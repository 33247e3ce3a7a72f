"""Folders that artifacts are made in: locked while their maker lives, swept once it is dead.

    ROOT/NAME        the folder
    ROOT/NAME.lock   held by the process that works in it; the kernel lets go of it when that process ends

Knows nothing of artifacts.
"""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from modelyard.domain.errors import CapacityError, ModelyardError

SPARE_BYTES = 64 << 20
"""Left free on the disk for everything else."""
RESUME_PREFIX = "resume-"
RESUME_FOR_S = 24 * 3600
"""How long an interrupted download waits for its next attempt."""
LOCK_SUFFIX = ".lock"


class DiskUsage(Protocol):
    """What `shutil.disk_usage` returns."""

    @property
    def free(self) -> int:
        """Bytes."""
        ...


MeasureDisk = Callable[[Path], DiskUsage]


@contextmanager
def staged(root: Path, needed_bytes: int, measure: MeasureDisk = shutil.disk_usage) -> Iterator[Path]:
    """An empty folder below `root`, removed afterwards. Raises CapacityError before the first byte."""
    require_space(root, needed_bytes, measure)
    with _locked(root, uuid.uuid4().hex) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def resumable(root: Path, key: str, needed_bytes: int, measure: MeasureDisk = shutil.disk_usage) -> Iterator[Path]:
    """A folder that outlives a failure which may pass, so that the next attempt with the same key goes on in it.

    needed_bytes: of the whole; what the folder holds already counts as there. Whoever comes second waits.
    Raises CapacityError before the first byte.
    """
    with _locked(root, f"{RESUME_PREFIX}{key}") as folder:
        require_space(root, needed_bytes - folder_bytes(folder), measure)
        try:
            yield folder
        except ModelyardError as error:
            if not error.retryable:  # the next attempt would stumble over the same bytes
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def require_space(folder: Path, needed_bytes: int, measure: MeasureDisk = shutil.disk_usage) -> None:
    """Sweep what dead processes left, then raise CapacityError if the disk of a folder is still too small."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    free = measure(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise CapacityError(
            f"{folder} has {free / 2**30:.2f} GiB free and {(needed_bytes + SPARE_BYTES) / 2**30:.2f} GiB are needed",
            "free some space or point MODELYARD_HOME at a larger disk",
        )


def sweep(root: Path) -> None:
    """Remove the folders of processes that ended without doing so; those of living processes stay."""
    names = {path.name.removesuffix(LOCK_SUFFIX) for path in root.iterdir()}
    for name in names:
        lock = root / f"{name}{LOCK_SUFFIX}"
        if name.startswith(RESUME_PREFIX) and _is_recent(lock):
            continue
        with _lock(lock, wait=False) as held:
            if held:
                shutil.rmtree(root / name, ignore_errors=True)
                lock.unlink(missing_ok=True)


def folder_bytes(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Wait until no other process or thread is inside with the same lock file."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _lock(lock, wait=True):
        yield


@contextmanager
def _locked(root: Path, name: str) -> Iterator[Path]:
    lock = root / f"{name}{LOCK_SUFFIX}"
    root.mkdir(parents=True, exist_ok=True)
    with _lock(lock, wait=True):
        folder = root / name
        folder.mkdir(exist_ok=True)
        os.utime(lock)
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()  # nothing in it: nothing to go on with
            if not folder.exists():
                lock.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock file; yields False if somebody else does and `wait` is false."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                yield False
                return
            if _is_still(descriptor, path):
                yield True
                return
        finally:
            os.close(descriptor)


def _is_recent(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime < RESUME_FOR_S
    except FileNotFoundError:
        return False


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether a path still names the open file: its former holder may have removed it while we waited."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
