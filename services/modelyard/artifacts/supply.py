"""What every source of weights offers: a list of files, known before the first byte, and a way to copy one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modelyard.artifacts.formats import PICKLE_SUFFIXES, is_wanted
from modelyard.domain.errors import InvalidInputError, NotFoundError

Advance = Callable[[int], None]
"""Told how many bytes came in (negative: had to be given up); raises to stop the copy."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source."""

    path: str
    """Relative, with `/`."""
    size_bytes: int
    version: str = ""
    """Changes when its bytes do: an etag, a time of change."""
    sha256: str = ""
    """What the source says it is; empty if it says nothing."""


class Copy(Protocol):
    """Append to `target` what it lacks of a file."""

    def __call__(self, file: SourceFile, target: Path, advance: Advance) -> None:
        """`target` may hold the first bytes of the file from an attempt before."""
        ...


@dataclass(frozen=True)
class Supply:
    """Weights at their source, pinned: the same identity means the same bytes."""

    uri: str
    files: list[SourceFile]
    """Those that will be taken along."""
    copy: Copy
    revision: str = ""
    """Hub commit or package version."""
    licence: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    """Packages that the bytes came in."""

    @property
    def identity(self) -> list[object]:
        """Every file with its size and version, and the revision: equal for equal bytes."""
        return [[self.revision], *([file.path, file.size_bytes, file.version] for file in self.files)]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)


def select_files(uri: str, files: list[SourceFile]) -> list[SourceFile]:
    """The files of a model folder that are taken along.

    Safetensors are preferred over GGUF where there are both. Raises InvalidInputError for a folder that has its
    weights only in a format that can run code, or several GGUF files; NotFoundError for one without weights.
    """
    wanted = [file for file in files if is_wanted(file.path)]
    if any(file.path.endswith(".safetensors") for file in wanted):
        return [file for file in wanted if not file.path.endswith(".gguf")]
    gguf = [file.path for file in wanted if file.path.endswith(".gguf")]
    if len(gguf) > 1:
        raise InvalidInputError(f"{uri} has {len(gguf)} GGUF files: {', '.join(sorted(gguf))}", "name one of them in source.uri")
    if gguf:
        return wanted
    pickles = [file.path for file in files if file.path.endswith(PICKLE_SUFFIXES)]
    if pickles:
        raise InvalidInputError(
            f"{uri} has its weights only as pickles ({', '.join(sorted(pickles)[:3])}), which can run code when they are read",
            "use a revision or another repository of this model with safetensors",
        )
    found = ", ".join(sorted(file.path for file in files)[:5]) or "nothing"
    raise NotFoundError(f"{uri} has no weights (*.safetensors or *.gguf); it has {found}", "correct source.uri")
