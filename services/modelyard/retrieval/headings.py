"""Find the headings of Markdown and reStructuredText. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_HASHES = re.compile(r"(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"([=\-*~^\"'`+#:._])\1{2,}[ \t]*$")
_SHORTEST_SHARE = 0.5
"""An underline is at least this share of its title long; otherwise it is a rule or an ellipsis."""


@dataclass(frozen=True)
class Heading:
    """One heading and where it stands."""

    title: str
    level: int
    """1 is the outermost."""
    start: int
    end: int
    """The heading's lines are `text[start:end]`, underline included."""


@dataclass(frozen=True)
class Section:
    """The text between two headings."""

    headings: tuple[str, ...]
    """Above it, outermost first."""
    start: int
    end: int


def find_headings(text: str) -> list[Heading]:
    """Every heading, in order: `# Title` with its level, and underlined titles, whose levels follow first use."""
    headings: list[Heading] = []
    styles: list[str] = []
    for line, following, before in _lines(text):
        start, content = line
        if hashes := _HASHES.match(content):
            headings.append(Heading(hashes[2], len(hashes[1]), start, start + len(content)))
        elif underline := _underline_of(content, following, before):
            if underline not in styles:
                styles.append(underline)
            outer = 1 if headings and text.startswith("#", headings[0].start) else 0  # below a Markdown title
            end = following[0] + len(following[1])
            headings.append(Heading(content.strip(), outer + 1 + styles.index(underline), start, end))
    return headings


def find_sections(text: str) -> list[Section]:
    """The document cut at its headings; the heading lines themselves belong to no section."""
    sections, path, start = [], list[Heading](), 0
    for heading in find_headings(text):
        sections.append(Section(tuple(above.title for above in path), start, heading.start))
        path = [above for above in path if above.level < heading.level] + [heading]
        start = heading.end
    sections.append(Section(tuple(above.title for above in path), start, len(text)))
    return [section for section in sections if text[section.start : section.end].strip()]


def _lines(text: str) -> Iterator[tuple[tuple[int, str], tuple[int, str], str]]:
    """(line, the next line, the text of the line before), a line being (start, text); fenced code is left out."""
    lines, start, fence = [], 0, ""
    for line in text.split("\n"):
        opening = _FENCE.match(line)
        if opening and fence in ("", opening[1]):
            fence = "" if fence else opening[1]
        lines.append((start, "" if fence or opening else line))
        start += len(line) + 1
    lines.append((start, ""))
    for place in range(len(lines) - 1):
        yield lines[place], lines[place + 1], lines[place - 1][1] if place else ""


def _underline_of(content: str, following: tuple[int, str], before: str) -> str:
    """The character that underlines a title, or nothing if this line is none."""
    found = _UNDERLINE.match(following[1])
    is_title = found and content.strip() and not content[0].isspace() and not _UNDERLINE.match(content)
    if not found or not is_title or len(following[1].strip()) < len(content.strip()) * _SHORTEST_SHARE:
        return ""
    # The line above a title is blank or, in reStructuredText, an overline; `---` there opens front matter instead.
    is_overlined = before.strip() == following[1].strip() and found[1] != "-"
    return found[1] if not before.strip() or is_overlined else ""
