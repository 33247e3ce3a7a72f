"""Copy the files of a supply into a folder, several at a time, going on where an earlier attempt stopped."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from modelyard.artifacts.manifest import hash_file
from modelyard.artifacts.supply import Advance, SourceFile, Supply
from modelyard.domain.errors import UnavailableError
from modelyard.domain.resource import Progress

WORKERS = 4
REPORT_INTERVAL_S = 0.5
RATE_WINDOW_S = 15.0
PART_SUFFIX = ".part"


class StoppedError(Exception):
    """The job ends; what was copied so far stays for the next attempt."""


class Meter:
    """How many bytes are here, how fast they come, and how long the rest takes. Safe for threads."""

    def __init__(self, total_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, int]] = deque([(clock(), 0)])

    def skip(self, count: int) -> None:
        """Count bytes that were here before; they say nothing about the rate."""
        with self._lock:
            self.done_bytes += count
            self._seen = deque((at, done + count) for at, done in self._seen)

    def advance(self, count: int) -> None:
        """Count bytes that came in."""
        with self._lock:
            self.done_bytes = max(self.done_bytes + count, 0)

    def progress(self) -> Progress:
        """The state now; the rate is that of the last 15 seconds."""
        with self._lock:
            now = self._clock()
            self._seen.append((now, self.done_bytes))
            while len(self._seen) > 2 and now - self._seen[0][0] > RATE_WINDOW_S:
                self._seen.popleft()
            since, before = self._seen[0]
            rate = max(self.done_bytes - before, 0) / (now - since) if now > since else 0.0
            left = max(self.total_bytes - self.done_bytes, 0)
            return Progress(
                stage="downloading",
                percent=round(100 * min(self.done_bytes / self.total_bytes, 1.0), 1) if self.total_bytes else 100.0,
                bytes_per_second=round(rate, 1),
                eta_seconds=round(left / rate, 1) if rate else None,
            )


def download(supply: Supply, files: Sequence[SourceFile], folder: Path, meter: Meter, report: Callable[[Progress], None]) -> None:
    """Copy files into a folder; those that are there whole already are left alone.

    Raises UnavailableError for a file that arrived truncated or altered, and whatever the supply raises.
    """
    stop = threading.Event()

    def advance(count: int) -> None:
        if stop.is_set():
            raise StoppedError
        meter.advance(count)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="download") as pool:
        try:
            pending = {pool.submit(_complete, supply, file, folder, meter, advance) for file in files}
            while pending:
                done, pending = wait(pending, timeout=REPORT_INTERVAL_S, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                report(meter.progress())
        except BaseException:
            # Threads end at their next block, so that the lock of the folder is not let go of under them.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _complete(supply: Supply, file: SourceFile, folder: Path, meter: Meter, advance: Advance) -> None:
    target = folder / file.path
    if target.is_file() and target.stat().st_size == file.size_bytes:
        meter.skip(file.size_bytes)
        return
    part = target.with_name(target.name + PART_SUFFIX)
    part.parent.mkdir(parents=True, exist_ok=True)
    if part.exists():
        if part.stat().st_size > file.size_bytes:
            part.unlink()
        else:
            meter.skip(part.stat().st_size)
    supply.copy(file, part, advance)
    _check_arrival(supply, file, part)
    part.rename(target)


def _check_arrival(supply: Supply, file: SourceFile, part: Path) -> None:
    size = part.stat().st_size
    if size != file.size_bytes:
        if size > file.size_bytes:
            part.unlink()
        raise UnavailableError(
            f"{supply.uri}: {file.path} arrived with {size} bytes instead of {file.size_bytes}", "the next attempt fetches the rest"
        )
    if file.sha256 and hash_file(part) != file.sha256:
        part.unlink()
        raise UnavailableError(
            f"{supply.uri}: {file.path} arrived altered: its sha256 is not {file.sha256}", "the next attempt fetches it anew"
        )
