"""Tell a whole checkpoint from one that a kill or a disk has damaged. Light: knows no torch and no Ray.

Each worker lists the sha256 of the files that it wrote, and writes that list last, in the words of `sha256sum`.
"""

import hashlib
from pathlib import Path

CHUNK_BYTES = 1 << 20


def sums_file(rank: int, workers: int) -> str:
    """The list of one worker's files; its name tells how many lists there must be."""
    return f"SHA256SUMS-{rank:04d}-of-{workers:04d}"


def write_sums(folder: Path, rank: int, workers: int) -> None:
    """List what a worker has written into a folder of its own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / sums_file(rank, workers)).write_text("".join(lines))


def count_workers(folder: Path) -> int:
    """How many workers wrote a checkpoint; 0 if none came to its end."""
    return max((int(path.name.rpartition("-")[2]) for path in folder.glob("SHA256SUMS-*-of-*")), default=0)


def find_damage(folder: Path) -> str:
    """What is wrong with a checkpoint, in a few words; empty if nothing is."""
    workers = count_workers(folder)
    if not workers:
        return "it has no list of checksums"
    return next((damage for rank in range(workers) if (damage := _find_damage(folder, sums_file(rank, workers)))), "")


def _find_damage(folder: Path, sums: str) -> str:
    if not (folder / sums).is_file():
        return f"{sums} is missing"
    for line in (folder / sums).read_text(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if not name or not (folder / name).is_file():
            return f"{name or sums} is missing"
        if _sha256(folder / name) != digest:
            return f"{name} has other bytes than were written"
    return ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
