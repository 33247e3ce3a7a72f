"""The `manifest.json` beside every artifact: what it is, where it came from, and a sha256 per file."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from modelyard.domain.base import Spec, digest_of
from modelyard.domain.errors import IntegrityError

MANIFEST_FILE = "manifest.json"
BLOCK_BYTES = 1 << 20


def _stay_inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path or path != "/".join(parts):
        raise ValueError(f"path {path!r} leaves the artifact or is not in plain form; use a relative path with `/`")
    return path


class FileEntry(Spec):
    """One file of an artifact."""

    path: Annotated[str, AfterValidator(_stay_inside)]
    """Relative, with `/`, without `..`."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class Manifest(Spec):
    """What an artifact is. Its digest depends on kind and files alone, not on when or where it was made."""

    kind: Literal["causal-lm", "embedding", "adapter"]
    files: list[FileEntry]
    source: str = ""
    """URI that the bytes came from."""
    revision: str = ""
    licence: str = ""
    base_digest: str = ""
    """Of an adapter: the weights that it belongs to."""
    lineage: dict[str, Any] = {}
    """Of an adapter: version, dataset digest, fine-tune spec."""
    packages: dict[str, str] = {}
    """Versions of the packages that made it."""

    @property
    def digest(self) -> str:
        """sha256, 64 hex digits."""
        return digest_of([self.kind, self.base_digest, sorted([f.path, f.sha256] for f in self.files)])

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(entry.size_bytes for entry in self.files)


def hash_file(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def list_files(folder: Path) -> list[FileEntry]:
    """Every file below a folder but its manifest, in order of path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST_FILE)
    return [FileEntry(path=path.relative_to(folder).as_posix(), sha256=hash_file(path), size_bytes=path.stat().st_size) for path in paths]


def verify(folder: Path, manifest: Manifest, remedy: str = "") -> None:
    """Raise IntegrityError that names the first file which is missing, truncated, altered or a link to elsewhere."""
    for entry in manifest.files:
        path = folder / entry.path
        if path.is_symlink():
            problem = f"is a link to {path.readlink()}"
        elif not path.is_file():
            problem = "is missing"
        elif path.stat().st_size != entry.size_bytes:
            problem = f"has {path.stat().st_size} bytes instead of {entry.size_bytes}"
        elif hash_file(path) != entry.sha256:
            problem = f"is altered: its sha256 is not {entry.sha256}"
        else:
            continue
        raise IntegrityError(f"{path} {problem}", remedy or f"delete {folder} and apply again to fetch or train it anew")
