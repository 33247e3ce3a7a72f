"""Weights in a file or folder on any fsspec file system."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from modelyard.artifacts.supply import Advance, SourceFile, Supply, select_files
from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError

BLOCK_BYTES = 4 << 20
DRIVERS = {"s3": "s3fs", "gs": "gcsfs"}
"""Scheme → the package that fsspec needs for it."""
MARKS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "updated", "created")
"""What storages offer to tell two states of a file apart; content hashes before times."""


def open_files(uri: str) -> Supply:
    """The weights at `s3://`, `gs://`, `file://` or any other fsspec URI.

    Raises NotFoundError, InvalidInputError for a missing driver or unusable files, UnavailableError when the storage
    refuses or does not answer.
    """
    filesystem, root = filesystem_of(uri)
    with open_storage(uri, filesystem):
        info = filesystem.info(root)
        if info["type"] == "directory":
            below = filesystem.find(root, detail=True)
            found = {path.removeprefix(root).lstrip("/"): entry for path, entry in below.items() if is_file(filesystem, entry)}
        else:
            found = {root.rpartition("/")[2]: info}
    files = [
        SourceFile(path=path, size_bytes=int(entry["size"]), version=version_of(filesystem, entry)) for path, entry in sorted(found.items())
    ]
    places = {path: entry["name"] for path, entry in found.items()}

    def copy(file: SourceFile, target: Path, advance: Advance) -> None:
        with open_storage(uri, filesystem):
            copy_file(filesystem, places[file.path], target, advance)

    return Supply(uri=uri, files=select_files(uri, files), copy=copy)


def filesystem_of(uri: str) -> tuple[Any, str]:
    """The fsspec file system of a URI or local path, and the path in it. Raises InvalidInputError for a missing driver."""
    scheme = uri.partition("://")[0]
    try:
        # Long-lived processes ask again and again whether something has changed: no cached listings.
        filesystem, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except ImportError:
        driver = DRIVERS.get(scheme, f"that fsspec uses for {scheme}://")
        raise InvalidInputError(f"{uri} needs the package {driver}, which is not installed", f"pip install {driver}") from None
    except ValueError as error:
        raise InvalidInputError(f"{uri} cannot be opened: {error}", "use file://, s3:// or gs://") from None
    return filesystem, str(path).rstrip("/") or "/"


@contextmanager
def open_storage(uri: str, filesystem: Any) -> Iterator[None]:
    """Turn what a file system raises into errors with a remedy."""
    local = "file" in filesystem.protocol
    place = "path; it is read on the machine that runs the platform" if local else "bucket and path"
    try:
        yield
    except FileNotFoundError:
        raise NotFoundError(f"{uri} does not exist", f"correct the {place}") from None
    except PermissionError as error:
        raise UnavailableError(f"{uri} may not be read: {error}", "check the permissions and credentials of this user") from None
    except (ConnectionError, TimeoutError) as error:
        raise UnavailableError(f"{uri} cannot be reached: {error}", "check the network; the next attempt goes on") from None


def is_file(filesystem: Any, entry: dict[str, Any]) -> bool:
    """Whether a directory entry is a file or a link to one."""
    return entry["type"] == "file" or bool(entry.get("islink") and filesystem.isfile(entry["name"]))


def version_of(filesystem: Any, entry: dict[str, Any]) -> str:
    """What tells two states of a file apart, by its directory entry; empty if the storage says nothing."""
    if "file" in filesystem.protocol:
        # Of what a link leads to: files of a mounted ConfigMap are links that never change themselves.
        status = Path(entry["name"]).stat()
        return f"{status.st_mtime_ns}-{status.st_ino}-{status.st_size}"
    return next((str(entry[key]) for key in MARKS if entry.get(key)), "")


def copy_file(filesystem: Any, path: str, target: Path, advance: Advance) -> None:
    """Append to `target` what it lacks of a file."""
    with target.open("ab") as sink, filesystem.open(path, "rb") as stream:
        stream.seek(sink.tell())
        while block := stream.read(BLOCK_BYTES):
            sink.write(block)
            advance(len(block))
