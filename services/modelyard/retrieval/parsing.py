"""Read documents from folders and files on any fsspec file system. Knows nothing of chunks and vectors."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import fsspec
from fsspec.utils import glob_translate

from modelyard.domain.errors import InvalidInputError, NotFoundError
from modelyard.domain.knowledge_base import DocumentSource
from modelyard.retrieval.headings import find_headings

TITLE_CHARACTERS = 200
_FRONT_MATTER_TITLE = re.compile(r"\A---\n(?:(?!---).*\n)*?title:[ \t]*[\"']?(.+?)[\"']?[ \t]*\n")


@dataclass(frozen=True)
class Document:
    """A text and its name."""

    text: str
    """As Python reads a text file: UTF-8, line ends as `\\n`."""
    title: str
    """Its first heading, else the name of the file."""
    file: str
    """FOLDER/PATH below the source; the whole URI where two documents would share that."""
    uri: str


def read_documents(sources: Sequence[DocumentSource]) -> Iterator[Document]:
    """Every document that matches, in order of source and path; a file that two sources hold is read once.

    Raises NotFoundError for a source that is missing, InvalidInputError for one that matches nothing and for a file
    that is not UTF-8 text.
    """
    files: set[str] = set()
    uris: set[str] = set()
    for source in sources:
        for filesystem, path, name in _files(source):
            uri = filesystem.unstrip_protocol(path)
            if uri in uris:
                continue
            file = uri if name in files else name
            uris.add(uri)
            files.add(file)
            text = _decode(uri, filesystem.cat_file(path))
            yield Document(text, _title(text, file), file, uri)


def _files(source: DocumentSource) -> Iterator[tuple[Any, str, str]]:
    """(file system, path in it, FOLDER/PATH) of each file of a source."""
    filesystem, root = fsspec.core.url_to_fs(source.uri)
    root = str(root).rstrip("/")
    if filesystem.isfile(root):
        yield filesystem, root, PurePosixPath(root).name
        return
    if not filesystem.exists(root):
        raise NotFoundError(f"{source.uri} does not exist", "correct sources[].uri; it is read on the machine that runs the job")
    patterns = [re.compile(glob_translate(pattern)) for pattern in source.include]
    matched = 0
    for path in sorted(filesystem.find(root)):
        relative = path.removeprefix(root).lstrip("/")
        if any(pattern.match(relative) for pattern in patterns):
            matched += 1
            yield filesystem, path, f"{PurePosixPath(root).name}/{relative}"
    if not matched:
        raise InvalidInputError(f"{source.uri} holds no file that matches {', '.join(source.include)}", "correct sources[].include")


def _decode(uri: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"{uri} is not UTF-8 text: byte 0x{data[error.start]:02x} at {error.start}"
    else:
        if "\0" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
        problem = f"{uri} is not text: a zero byte at {data.index(0)}"
    raise InvalidInputError(problem, "convert it to UTF-8, or leave it out by sources[].include")


def _title(text: str, file: str) -> str:
    if front_matter := _FRONT_MATTER_TITLE.match(text):
        return front_matter[1][:TITLE_CHARACTERS]
    headings = find_headings(text)
    return (headings[0].title if headings else PurePosixPath(file).stem)[:TITLE_CHARACTERS]
