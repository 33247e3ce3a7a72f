"""Digests of inputs (datasets, suites, documents) at any fsspec URI or local path; cheap where nothing has changed.

Asked every few seconds, so a file is read again only when its size, time or etag has changed.
"""

import functools
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from fsspec.utils import glob_translate

from modelyard.artifacts.files import filesystem_of, is_file, open_storage, version_of
from modelyard.domain.base import digest_of
from modelyard.domain.errors import NotFoundError

BLOCK_BYTES = 1 << 20
CACHED_FILES = 100_000
ROW_FILES = [
    f"**/*.{kind}{packed}" for kind in ("jsonl", "ndjson", "json", "csv", "tsv", "parquet") for packed in ("", ".gz", ".xz", ".zst")
]
"""The files of a folder that hold rows."""


def content_digest(uri: str) -> str:
    """sha256 (64 hex digits) of the bytes of a file; of a folder or a pattern with `*`: the `folder_digest` of its row files.

    Raises NotFoundError if there is no such file, InvalidInputError for a missing driver, UnavailableError for missing rights.
    """
    filesystem, path = filesystem_of(uri)
    with open_storage(uri, filesystem):
        if "*" not in path and (entry := filesystem.info(path))["type"] != "directory":
            return _digest(filesystem, entry)
        return digest_of([[name, _digest(filesystem, entry)] for name, entry in _list_rows(uri)])


def list_inputs(uri: str) -> list[str]:
    """The URIs of the files that `content_digest` looks at, in order of their paths; a file stands for itself, there or not."""
    filesystem, path = filesystem_of(uri)
    with open_storage(uri, filesystem):
        if "*" not in path and not filesystem.isdir(path):
            return [uri]
        entries = _list_rows(uri)
        return [entry["name"] if "://" not in uri else filesystem.unstrip_protocol(entry["name"]) for _, entry in entries]


def _list_rows(uri: str) -> list[tuple[str, dict[str, Any]]]:
    """(relative path, entry), by path, of a folder's or a pattern's files."""
    root, pattern = uri, ""
    if "*" in uri:
        root = uri[: uri.index("*")].rpartition("/")[0] or ("/" if uri.startswith("/") else ".")
        pattern = uri[len(root) :].lstrip("/") if uri.startswith(root) else uri
    filesystem, path = filesystem_of(root)
    entries = list_matches(filesystem, path, [pattern] if pattern else ROW_FILES)
    if not entries:
        wanted = f"that matches {pattern}" if pattern else "of rows (*.jsonl, *.json, *.csv, *.tsv, *.parquet)"
        raise NotFoundError(f"{root} has no file {wanted}", "correct the URI or put the files there")
    return sorted(entries.items())


def folder_digest(uri: str, include: Sequence[str]) -> str:
    """sha256 (64 hex digits) over (relative path, sha256) of the files below a folder that match a glob pattern.

    `**/` matches any number of folders, none included. A URI that names a file stands for that file, whatever the patterns.
    Raises NotFoundError if there is nothing, InvalidInputError for a missing driver, UnavailableError for missing rights.
    """
    filesystem, path = filesystem_of(uri)
    with open_storage(uri, filesystem):
        entries = list_matches(filesystem, path, include)
        if not entries:
            raise NotFoundError(f"{uri} has no file that matches {', '.join(include)}", "correct the URI or its `include`")
        return digest_of([[name, _digest(filesystem, entry)] for name, entry in sorted(entries.items())])


def list_matches(filesystem: Any, root: str, include: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Relative path → entry of the files below a path that match a pattern; of a file: itself."""
    entry = filesystem.info(root)
    if entry["type"] != "directory":
        return {root.rpartition("/")[2]: entry}
    matches = [re.compile(glob_translate(pattern)) for pattern in include]
    below = {
        path.removeprefix(root).lstrip("/"): entry
        for path, entry in filesystem.find(root, detail=True).items()
        if is_file(filesystem, entry)
    }
    return {name: entry for name, entry in below.items() if any(match.match(name) for match in matches)}


def _digest(filesystem: Any, entry: dict[str, Any]) -> str:
    version = version_of(filesystem, entry)
    if not version:
        return _read.__wrapped__(filesystem, entry["name"], 0, "")
    return _read(filesystem, entry["name"], int(entry["size"]), version)


@functools.lru_cache(maxsize=CACHED_FILES)
def _read(filesystem: Any, path: str, size_bytes: int, version: str) -> str:
    """The sha256 of a file; size and version are there to be part of the cache's key."""
    digest = hashlib.sha256()
    with filesystem.open(path, "rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
