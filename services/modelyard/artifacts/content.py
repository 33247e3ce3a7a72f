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


def content_digest(uri: str) -> str:
    """sha256 (64 hex digits) of the bytes of a file.

    Raises NotFoundError if there is no such file, InvalidInputError for a missing driver, UnavailableError for missing rights.
    """
    filesystem, path = filesystem_of(uri)
    with open_storage(uri, filesystem):
        entry = filesystem.info(path)
        if entry["type"] == "directory":
            raise NotFoundError(f"{uri} is a folder, not a file", "name a file in it")
        return _digest(filesystem, entry)


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
