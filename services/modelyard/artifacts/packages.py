"""Weights that an installed Python distribution carries. The package is never imported: its files are only read."""

import importlib.metadata
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path, PurePosixPath

from modelyard.artifacts.files import open_files
from modelyard.artifacts.supply import Supply
from modelyard.domain.errors import InvalidInputError, NotFoundError

SCHEME = "package://"
WEIGHTS = (".gguf", ".safetensors")
SHOWN_CANDIDATES = 5


def open_package(uri: str) -> Supply:
    """The weights at `package://NAME/PATH`.

    PATH names a file or folder below the package's top folder, or ends the path of one of its files.
    Raises NotFoundError for an unknown package or path, InvalidInputError for a URI without a path.
    """
    name, _, path = uri.removeprefix(SCHEME).partition("/")
    path = path.strip("/")
    if not path:
        raise InvalidInputError(f"{uri} names no file", "write package://NAME/FILE, where FILE is a file or folder in the package")
    if ".." in PurePosixPath(path).parts:
        raise InvalidInputError(f"{uri} leaves the package", "name a file or folder inside it")
    distribution = _distribution(uri, name)
    files = open_files(f"file://{_locate(uri, distribution, path)}")
    return Supply(
        uri=uri,
        files=files.files,
        copy=files.copy,
        revision=distribution.version,
        licence=licence_of(distribution),
        packages={name: distribution.version},
    )


def licence_of(distribution: Distribution) -> str:
    """The licence that a distribution states, or nothing."""
    metadata = distribution.metadata
    for field in ("License-Expression", "License"):
        words = str(metadata[field] if field in metadata else "").strip()
        if words and words != "UNKNOWN":
            return words.splitlines()[0]
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    return classifiers[0].rpartition(":: ")[2] if classifiers else ""


def _distribution(uri: str, name: str) -> Distribution:
    try:
        return importlib.metadata.distribution(name)
    except (PackageNotFoundError, ValueError):
        raise NotFoundError(f"{uri}: the package {name!r} is not installed", f"pip install {name}") from None


def _locate(uri: str, distribution: Distribution, path: str) -> Path:
    """Where a path is on disk; the shortest match wins, so that `model` is the top folder of that name."""
    matches: dict[str, Path] = {}
    files = [file for file in distribution.files or [] if ".." not in file.parts and ".dist-info" not in file.parts[0]]
    for file in files:
        for depth in range(len(file.parts)):
            head = PurePosixPath(*file.parts[: len(file.parts) - depth])
            if head == PurePosixPath(path) or str(head).endswith(f"/{path}"):
                matches[str(head)] = Path(str(distribution.locate_file(str(head))))
    found = [matches[key] for key in sorted(matches, key=lambda key: (key.count("/"), key)) if matches[key].exists()]
    if found:
        return found[0]
    likely = sorted(files, key=lambda file: (not str(file).endswith(WEIGHTS), -(file.size or 0), str(file)))[:SHOWN_CANDIDATES]
    candidates = ", ".join("/".join(file.parts[1:]) or str(file) for file in likely)
    raise NotFoundError(f"{uri}: {distribution.name} {distribution.version} has no {path!r}; it has {candidates}", "correct source.uri")
