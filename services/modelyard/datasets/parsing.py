"""Read files as objects with the place where each stands, one after the other. Knows no shape of rows."""

import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import fsspec

from modelyard.datasets.describing import show
from modelyard.domain.errors import InvalidInputError, NotFoundError

ROWS_A_BATCH = 256
"""Rows of a Parquet file that are in memory at once."""
CELL_BYTES = 64 << 20
"""The longest cell of a CSV file."""
STRUCTURED = ("messages", "conversations", "tools", "tool_calls", "prompt", "completion", "history")
"""Columns of a CSV file that may hold JSON."""

Placed = tuple[str, int, Any]
"""(`line 3` or `row 3`, 3, the object)"""


def parse_file(uri: str) -> Iterator[Placed]:
    """Every object of a file: JSON Lines, a JSON array (which is read whole), CSV or TSV with a header, or Parquet.

    uri: any fsspec URI or a local path; the name tells CSV and Parquet, and `.gz`, `.xz` and `.zst` are unpacked.
    Raises NotFoundError, or InvalidInputError that names the line and what was seen there.
    """
    with _opened(uri) as stream:
        name = uri.lower()
        for packed in (".gz", ".xz", ".zst", ".bz2"):
            name = name.removesuffix(packed)
        if name.endswith(".parquet"):
            yield from _parse_parquet(uri, stream)
        elif name.endswith((".csv", ".tsv")):
            yield from _parse_csv(uri, stream, "\t" if name.endswith(".tsv") else ",")
        else:
            yield from _parse_json(uri, stream)


@contextmanager
def _opened(uri: str) -> Iterator[IO[bytes]]:
    try:
        opened = fsspec.open(uri, "rb", compression="infer")
    except (ValueError, ImportError) as error:
        raise InvalidInputError(f"dataset {uri} cannot be opened: {error}", "use file://, s3:// or gs://") from None
    try:
        with opened as stream:
            yield stream
    except FileNotFoundError:
        raise NotFoundError(f"dataset {uri} does not exist", "correct dataset.uri or put the file there") from None
    except PermissionError:
        raise InvalidInputError(f"dataset {uri} may not be read by this user", "grant read access to it") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise InvalidInputError(f"dataset {uri} cannot be unpacked: {error}", "pack or copy it anew") from None


def _parse_json(uri: str, stream: IO[bytes]) -> Iterator[Placed]:
    first = True
    # Not by lines of text: JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(stream, start=1):
        text = _decode(uri, line, number)
        if not text.strip():
            continue
        if first and text.lstrip().startswith("["):
            yield from _parse_array(uri, "\n" * (number - 1) + text + _decode(uri, stream.read(), number + 1))
            return
        first = False
        yield f"line {number}", number, _load_line(uri, number, text)


def _load_line(uri: str, number: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        told = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise InvalidInputError(
            f"{uri} line {number} is not JSON: {told}, in {show(text.strip())}", "write one whole JSON object on each line"
        ) from None


def _parse_array(uri: str, text: str) -> Iterator[Placed]:
    try:
        items = list(json.loads(text))
    except (ValueError, RecursionError) as error:
        if not isinstance(error, json.JSONDecodeError):
            raise InvalidInputError(f"{uri} is not JSON: {error}", "write JSON Lines") from None
        raise InvalidInputError(
            f"{uri} line {error.lineno} is not JSON: {error.msg} at column {error.colno}", "mend the JSON array or write JSON Lines"
        ) from None
    for number, item in enumerate(items, start=1):
        yield f"row {number}", number, item


def _parse_csv(uri: str, stream: IO[bytes], delimiter: str) -> Iterator[Placed]:
    csv.field_size_limit(CELL_BYTES)
    lines = (_decode(uri, line, number) for number, line in enumerate(stream, start=1))
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            number = reader.line_num
            if None in row or None in row.values():
                raise InvalidInputError(
                    f"{uri} line {number} has not as many cells as the header has columns ({len(reader.fieldnames or ())})",
                    "quote cells that hold the delimiter or line breaks",
                )
            yield f"line {number}", number, {name: _cell(uri, number, name, cell) for name, cell in row.items()}
    except csv.Error as error:
        raise InvalidInputError(
            f"{uri} line {reader.reader.line_num} is not CSV: {error}", "close every quote and double those inside"
        ) from None


def _cell(uri: str, number: int, name: str, cell: str) -> Any:
    if name not in STRUCTURED or not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        if name in ("prompt", "completion"):
            return cell  # a text that merely begins so
        raise InvalidInputError(f"{uri} line {number}: {name} is not JSON: {show(cell)}", f"write {name} as a JSON list") from None


def _parse_parquet(uri: str, stream: IO[bytes]) -> Iterator[Placed]:
    from pyarrow import ArrowException  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]

    number = 0
    try:
        whole = stream if stream.seekable() else io.BytesIO(stream.read())
        for batch in ParquetFile(whole).iter_batches(batch_size=ROWS_A_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", number, _dense(row)
    except ArrowException as error:
        raise InvalidInputError(f"{uri} is not Parquet: {str(error).splitlines()[0]}", "write the file anew") from None


def _dense(value: Any) -> Any:
    """Without the nulls that Parquet puts where other rows have a field."""
    if isinstance(value, dict):
        return {key: _dense(item) for key, item in value.items() if item is not None}
    return [_dense(item) for item in value] if isinstance(value, list) else value


def _decode(uri: str, data: bytes, number: int) -> str:
    """number: the line that the bytes begin in."""
    try:
        return data.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line = number + data.count(b"\n", 0, error.start)
        raise InvalidInputError(f"{uri} line {line} is not UTF-8 text", "save the dataset in UTF-8") from None
