"""Read a dataset row by row, whatever it is written in. Knows no tokenizer and no model."""

from collections.abc import Iterator

from modelyard.artifacts.content import list_inputs
from modelyard.datasets.conversation import Conversation as Conversation
from modelyard.datasets.conversation import Message as Message
from modelyard.datasets.conversation import Row
from modelyard.datasets.parsing import parse_file
from modelyard.datasets.shapes import SHAPES, Format, Shape, convert, detect
from modelyard.domain.errors import InvalidInputError


class Rows:
    """A dataset that can be read again and again, one row in memory at a time."""

    def __init__(self, uri: str, format: Format = "auto") -> None:
        """uri: a file, a folder or a pattern with `*`, local or at any fsspec URI.

        format: `auto` takes the shape of the first row. Rows of another shape are refused.
        """
        self.uri, self.format = uri, format
        self.shape: Shape | None = None if format == "auto" else format
        """What the rows are; with `auto` known once the first one was read."""
        self.files = 0
        """How many were read."""

    def __iter__(self) -> Iterator[Row]:
        """Every row in its order, the files by name.

        Raises NotFoundError, or InvalidInputError that names the line and what was seen there.
        """
        because = "the rows before it are" if self.format == "auto" else "the format is"
        self.files, seen = 0, False
        for file in list_inputs(self.uri):
            self.files += 1
            for place, number, row in parse_file(file):
                self.shape = self.shape or detect(f"{file} {place}", row)
                seen = True
                yield convert(file, (place, number), row, self.shape, because)
        if not seen:
            raise InvalidInputError(f"dataset {self.uri} is empty", SHAPES)


def read_conversations(uri: str, format: Format = "auto") -> list[Conversation]:
    """Every row of a dataset that is asked, not learned: conversations without tools.

    uri, format and errors: as `Rows`. Raises InvalidInputError for a text or a row with tools too.
    """
    return [_require_plain(row) for row in Rows(uri, format)]


def _require_plain(row: Row) -> Conversation:
    where = f"{row.source} line {row.line}"
    if not isinstance(row, Conversation):
        raise InvalidInputError(f"{where} is a text", "write rows with a question and its answer")
    if row.tools or any(message.tool_calls or message.role == "tool" for message in row.messages):
        raise InvalidInputError(f"{where} has tools, and tool calls cannot be scored yet", "remove the row or its tools")
    return row
