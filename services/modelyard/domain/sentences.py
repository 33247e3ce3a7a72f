"""Where sentences end. Pure, and the same answer for a text that arrives in pieces."""

import re
from collections.abc import Iterator

_BREAK = re.compile(
    r"""
      (?P<stop>[.!?…]+["'”’)\]`*_]*(?:[ \t]*\[\d{1,3}\])*)(?P<gap>\s+)(?=[^\s\[])   # "… it fails. [1] The next …"
    | [。！？]+(?=[^\s。！？])                              # scripts that put no space between sentences
    | :?[ \t]*\n[ \t]*\n\s*(?=\S)                     # a blank line
    | [ \t]*\n[ \t]*(?=(?:[-*+•]|\d{1,3}[.)])[ \t]+\S)    # the next item of a list
    | [ \t]*\n[ \t]*(?=\#{1,6}[ \t]+\S)                 # a heading
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(r"(?:^|[\s(\[])(?:(?i:e\.g|i\.e|cf|vs|approx|resp|incl|fig|eq|sec|mr|mrs|ms|dr|prof|st)|[A-Z])\.$")
_ITEM_NUMBER = re.compile(r"(?:^|\n)[ \t]*\d{1,3}\.$")
_LOOKBACK = 16


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The (start, end) of every sentence, without the white space around it.

    A stop ends a sentence where white space and something that can begin a sentence follow: not a small letter,
    unless in a script without capitals. Blank lines, list items and Markdown headings end one too; the line breaks
    of wrapped text and everything inside a fenced code block do not. Adding text at the end moves only the last span.
    """
    spans, start = [], 0
    for end, following in _breaks(text):
        if text[start:end].count("```") % 2 == 0:
            spans.append((start, end))
            start = following
    spans.append((start, len(text)))
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def _breaks(text: str) -> Iterator[tuple[int, int]]:
    """(end of a sentence, start of the next)."""
    for found in _BREAK.finditer(text):
        if found["stop"] is None:
            yield found.end(), found.end()
            continue
        end = found.end("stop")
        before = text[max(0, end - _LOOKBACK) : end]
        if "\n" in found["gap"].strip(" \t").removeprefix("\n"):
            yield end, found.end()
        elif not (text[found.end()].islower() or _ABBREVIATION.search(before) or _ITEM_NUMBER.search(before)):
            yield end, found.end()


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None
