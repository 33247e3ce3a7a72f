"""Cut a document into passages at headings, paragraphs and sentences. Pure: the tokenizer is handed in."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from modelyard.domain.base import digest_of
from modelyard.domain.sentences import sentence_spans
from modelyard.retrieval.headings import find_sections
from modelyard.retrieval.parsing import Document

TokenStarts = Callable[[str], Sequence[int]]
"""Text → the character offset at which each of its tokens starts, ascending."""

CHARACTERS_A_TOKEN = 16
"""A token longer than this counts as several: WordPiece makes a single one of any long word."""
MAX_CHARACTERS = 16_000
"""Of a chunk; four bytes each stay below the 65,535 that a Milvus text field holds."""
CHUNK_ID_LENGTH = 32

Span = tuple[int, int]


@dataclass(frozen=True)
class Chunk:
    """A passage of a document: `text` is `document.text[start:end]`."""

    document: Document
    heading: str
    """The headings above it, outermost first, joined by ` > `; without the document's own title."""
    start: int
    end: int

    @property
    def text(self) -> str:
        """The passage."""
        return self.document.text[self.start : self.end]

    @property
    def chunk_id(self) -> str:
        """Equal for equal text at the same place of the same file: 32 hex digits."""
        return digest_of([self.document.uri, self.start, self.text])[:CHUNK_ID_LENGTH]


def chunk_document(document: Document, token_starts: TokenStarts, max_tokens: int, overlap_tokens: int) -> list[Chunk]:
    """The passages of a document, in order. All its text but headings and white space is in at least one.

    A passage has at most `max_tokens`, never spans a heading, and ends between sentences, in its second half between
    paragraphs if it can. It repeats whole sentences of the one before, up to `overlap_tokens`.
    """
    size = _Size(token_starts(document.text))
    chunks = []
    for section in find_sections(document.text):
        heading = " > ".join(title for title in section.headings if title != document.title)
        body = document.text[section.start : section.end]
        sentences = [(section.start + start, section.start + end) for start, end in sentence_spans(body)]
        units = [unit for span in sentences for unit in _fit(document.text, span, size, max_tokens)]
        for start, end in _pack(document.text, units, size, max_tokens, overlap_tokens):
            chunks.append(Chunk(document, heading, start, end))
    return chunks


class _Size:
    """Counts the tokens between two offsets."""

    def __init__(self, starts: Sequence[int]) -> None:
        self.starts = starts

    def __call__(self, start: int, end: int) -> int:
        if end - start > MAX_CHARACTERS:
            return MAX_CHARACTERS
        return max(bisect_left(self.starts, end) - self.token_at(start), -(-(end - start) // CHARACTERS_A_TOKEN))

    def token_at(self, offset: int) -> int:
        """Number of the token that an offset is in."""
        return max(0, bisect_right(self.starts, offset) - 1)


def _fit(text: str, span: Span, size: _Size, max_tokens: int) -> Iterator[Span]:
    """A sentence as it is, or cut where it is too long: at its line ends, then at tokens, then anywhere."""
    if size(*span) <= max_tokens:
        yield span
        return
    start = span[0]
    for line in text[span[0] : span[1]].splitlines(keepends=True):
        content = start + len(line) - len(line.lstrip()), start + len(line.rstrip())
        start += len(line)
        if content[0] < content[1]:
            yield from _cut(text, content, size, max_tokens)


def _cut(text: str, span: Span, size: _Size, max_tokens: int) -> Iterator[Span]:
    start, end = span
    while size(start, end) > max_tokens:
        following = size.token_at(start) + max_tokens
        token = size.starts[following] if following < len(size.starts) else end
        stop = min(token, start + max_tokens * CHARACTERS_A_TOKEN, start + MAX_CHARACTERS)
        piece = text[start:stop]
        yield start, start + len(piece.rstrip())
        start = stop + len(text[stop:end]) - len(text[stop:end].lstrip())
    yield start, end


def _pack(text: str, units: list[Span], size: _Size, max_tokens: int, overlap_tokens: int) -> Iterator[Span]:
    """Join neighbours into spans of at most `max_tokens`."""
    first, done = 0, 0  # the first unit of the next span; units before `done` are in a span already
    while done < len(units):
        last = done
        while last + 1 < len(units) and size(units[first][0], units[last + 1][1]) <= max_tokens:
            last += 1
        if last + 1 < len(units):
            last = _paragraph_end(text, units, size, first, done, last)
        yield units[first][0], units[last][1]
        end, done = units[last][1], last + 1
        first = done
        while done < len(units) and first > 0 and size(units[first - 1][0], end) <= overlap_tokens:
            if size(units[first - 1][0], units[done][1]) > max_tokens:
                break
            first -= 1


def _paragraph_end(text: str, units: list[Span], size: _Size, first: int, done: int, last: int) -> int:
    """The last unit before a blank line in the second half of a span, or the last one there is."""
    whole = size(units[first][0], units[last][1])
    for place in range(last, done - 1, -1):
        if size(units[first][0], units[place][1]) * 2 < whole:
            break
        if text.count("\n", units[place][1], units[place + 1][0]) > 1:
            return place
    return last
