"""Mark an answer with its sources, whole or while it streams. Pure; how support is judged: `attribution`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from modelyard.domain.passage import Passage
from modelyard.domain.sentences import sentence_spans
from modelyard.gateway.attribution import Attributor

_MARKER = re.compile(r"(?P<gap>[ \t]*)\[(?P<numbers>\d{1,3}(?:[ \t]*,[ \t]*\d{1,3})*)\]")
_UNDECIDED = re.compile(
    r"""
      \s*\n[ \t]*(?:[-*+•]|\d{1,3}[.)]?|\#{1,6})?[ \t]*\Z   # may become the next item or heading
    | [ \t]*\[[\d, \t]*\Z                                    # may become a marker
    | \s+\Z                                                  # a sentence may have ended before it
    """,
    re.VERBOSE,
)


class FileCitation(TypedDict):
    """One mark, in the shape of OpenAI's annotations, with the quote that it stands for."""

    type: str
    index: int
    """Where the `[` of the mark is in the answer's text, in characters."""
    file_id: str
    """The passage's `file`."""
    filename: str
    quote: str
    """The sentence or two of the passage that share most words with the sentence marked."""


@dataclass(frozen=True)
class CitedAnswer:
    """An answer with its marks."""

    text: str
    annotations: list[FileCitation]
    grounded: bool
    """Whether the words of every sentence stand in a source; False for an empty answer."""


def cite(answer: str, sources: Sequence[Passage], question: str = "") -> CitedAnswer:
    """Mark each sentence of an answer with the source that supports it best.

    sources: as numbered in the prompt, `[1]` first. question: its words prove nothing when they are repeated.
    Marks which the answer has already are kept where they name a source (but they do not count as support by
    themselves), and removed where they name none. A sentence that nothing supports gets no mark.
    """
    citer = Citer(sources, question)
    citer.feed(answer)
    citer.finish()
    return citer.answer


class Citer:
    """`cite` for an answer that arrives in pieces: what `feed` and `finish` return, joined, is the marked text."""

    def __init__(self, sources: Sequence[Passage], question: str = "") -> None:
        self._sources = list(sources)
        self._attributor = Attributor(sources, question)
        self._shown = ""
        self._annotations: list[FileCitation] = []
        self._all_supported = True
        self._sentences = 0
        self._sentence = ""
        """The unfinished sentence as it came, with its own marks."""
        self._passed = 0
        """How much of it has been returned."""
        self._marks: list[tuple[int, int]] = []
        """(index, source) of its own marks."""

    def feed(self, text: str) -> str:
        """Take the next piece; returns what can be shown now. Held back: white space and what may become a mark."""
        self._sentence += text
        before = len(self._shown)
        spans = sentence_spans(self._sentence)
        while len(spans) > 1:
            self._end_sentence(*spans[0], following=spans[1][0])
            spans = sentence_spans(self._sentence)
        undecided = _UNDECIDED.search(self._sentence, self._passed)
        self._show(undecided.start() if undecided else len(self._sentence))
        return self._shown[before:]

    def finish(self) -> str:
        """The answer has ended; returns what is left to show."""
        before = len(self._shown)
        for start, end in sentence_spans(self._sentence):
            self._end_sentence(start, end, following=len(self._sentence))
        return self._shown[before:]

    @property
    def answer(self) -> CitedAnswer:
        """What was shown up to now."""
        return CitedAnswer(self._shown, list(self._annotations), self._all_supported and self._sentences > 0)

    def _end_sentence(self, start: int, end: int, following: int) -> None:
        self._show(end)
        sentence = self._sentence[start:end]
        self._judge(_MARKER.sub("", sentence), is_code=sentence.endswith("```"))
        self._shown += self._sentence[end:following]
        self._sentence, self._passed, self._marks = self._sentence[following:], 0, []

    def _judge(self, sentence: str, *, is_code: bool) -> None:
        """Annotate the sentence's own marks, or mark it. Code is judged but not marked: a mark would break its fence."""
        self._sentences += 1
        support = self._attributor.best(sentence, [source for _, source in self._marks] or None)
        self._all_supported &= support is not None and support.suffices
        for index, source in self._marks:
            own = self._attributor.best(sentence, [source])
            self._annotate(index, source, own.quote if own else "")
        if not self._marks and not is_code and support is not None and support.suffices:
            self._shown += " "
            self._annotate(len(self._shown), support.source, support.quote)
            self._shown += f"[{support.source}]"

    def _annotate(self, index: int, source: int, quote: str) -> None:
        file = self._sources[source - 1].file
        name = file.rstrip("/").rpartition("/")[2]
        self._annotations.append(FileCitation(type="file_citation", index=index, file_id=file, filename=name, quote=quote))

    def _show(self, until: int) -> None:
        """Show the sentence up to an offset, its own marks checked."""
        for found in _MARKER.finditer(self._sentence, self._passed, until):
            self._shown += self._sentence[self._passed : found.start()]
            self._passed = found.end()
            self._shown += self._checked(found)
        self._shown += self._sentence[self._passed : until]
        self._passed = max(self._passed, until)

    def _checked(self, found: re.Match[str]) -> str:
        """A mark as it is shown: what names a source is kept, what cannot be a mark is left alone."""
        before = self._sentence[: found.start()]
        if before.count("`") % 2:
            return found[0]
        written = [int(number) for number in found["numbers"].split(",")]
        valid = [number for number in written if 1 <= number <= len(self._sources)]
        is_attached = not found["gap"] and before[-1:].isalnum()
        if not valid and (is_attached or len(written) > 1):
            return found[0]  # `row[0]` and `[4, 5]` are more likely code than marks
        shown = ""
        for number in valid:
            shown += found["gap"] if not shown else ""
            self._marks.append((len(self._shown) + len(shown), number))
            shown += f"[{number}]"
        return shown
