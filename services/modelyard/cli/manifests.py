"""Find and read the manifests that `-f` names: files, folders, standard input."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from modelyard.domain.documents import parse_texts, resolve_paths
from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.resource import Resource

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"


def read_manifests(names: Sequence[str], stdin: TextIO, *, recursive: bool = False) -> list[Resource]:
    """The resources of all manifests, in order, with paths made absolute.

    Raises one InvalidInputError that names every problem of every file, so that nothing is applied by half.
    """
    texts: dict[str, str] = {}
    folders: dict[str, Path] = {}
    for name in names:
        if name == STDIN:
            texts["stdin"], folders["stdin"] = stdin.read(), Path.cwd()
            continue
        for path in _find_files(Path(name), recursive=recursive):
            texts[str(path)], folders[str(path)] = _read(path), path.resolve().parent
    resources = [resolve_paths(manifest.resource, folders[manifest.source]) for manifest in parse_texts(texts)]
    if not resources:
        raise InvalidInputError(
            f"{', '.join(texts)} declares no resource", "write at least one document with apiVersion, kind, metadata and spec"
        )
    return resources


def _find_files(path: Path, *, recursive: bool) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.exists():
        raise NotFoundError(f"there is no file or folder {str(path)!r}", "check the path given with -f")
    pattern = "**/*" if recursive else "*"
    found = sorted(file for file in path.glob(pattern) if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise NotFoundError(f"folder {str(path)!r} has no {', '.join(SUFFIXES)} file", "name the manifest, or look below it with -R")
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not text: byte {error.start} is not UTF-8", "save it as UTF-8") from error
    except PermissionError as error:
        raise InvalidInputError(f"{path} may not be read", "give yourself read permission") from error
