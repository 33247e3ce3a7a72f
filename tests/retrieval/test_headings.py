import pytest

from modelyard.retrieval.headings import find_headings, find_sections


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        pytest.param("# One\n\ntext\n\n## Two ##\n", [("One", 1), ("Two", 2)], id="Markdown with hashes"),
        pytest.param("Title\n=====\n\nPart\n----\n", [("Title", 1), ("Part", 2)], id="underlined titles, by first use"),
        pytest.param("*****\nTitle\n*****\n\nPart\n====\n", [("Title", 1), ("Part", 2)], id="an overline"),
        pytest.param("# Title\n\nPart\n====\n", [("Title", 1), ("Part", 2)], id="underlines below a Markdown title are deeper"),
        pytest.param("```\n# comment\n```\n\n# Real\n", [("Real", 1)], id="code in a fence holds none"),
        pytest.param("text\n\n---\n\ntext\n", [], id="a rule is none"),
        pytest.param("---\nlayout: page\n---\n\ntext\n", [], id="front matter is none"),
        pytest.param("A sentence that is long\n...\n", [], id="an ellipsis is none"),
        pytest.param("two lines of\ntext\n====\n", [], id="the end of a paragraph is none"),
        pytest.param("#hashtag\n", [], id="a hash without a space is none"),
        pytest.param("", [], id="an empty text"),
    ],
)
def test_headings_are_found(text: str, headings: list[tuple[str, int]]) -> None:
    assert [(heading.title, heading.level) for heading in find_headings(text)] == headings


def test_sections_lie_between_headings_and_know_those_above() -> None:
    text = "before\n\n# A\n\none\n\n## B\n\ntwo\n\n## C\n\n# D\n\nthree\n"
    sections = [(section.headings, text[section.start : section.end].strip()) for section in find_sections(text)]
    assert sections == [((), "before"), (("A",), "one"), (("A", "B"), "two"), (("D",), "three")]
