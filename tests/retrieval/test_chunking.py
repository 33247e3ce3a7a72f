import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.retrieval.chunking import CHARACTERS_A_TOKEN, Chunk, chunk_document
from modelyard.retrieval.headings import find_headings
from modelyard.retrieval.parsing import Document


def starts_of_words(text: str) -> list[int]:
    return [found.start() for found in re.finditer(r"\w+|[^\w\s]", text)]


def chunks_of(text: str, max_tokens: int, overlap_tokens: int = 0, title: str = "T") -> list[Chunk]:
    return chunk_document(Document(text, title, "docs/a.md", "file:///docs/a.md"), starts_of_words, max_tokens, overlap_tokens)


@pytest.mark.parametrize(
    ("text", "max_tokens", "overlap", "passages"),
    [
        pytest.param("One two. Three four.", 99, 0, ["One two. Three four."], id="what fits stays whole"),
        pytest.param("One two. Three four. Five six.", 6, 0, ["One two. Three four.", "Five six."], id="cut between sentences"),
        pytest.param(
            "One two. Three four. Five six.", 6, 3, ["One two. Three four.", "Three four. Five six."], id="whole sentences are repeated"
        ),
        pytest.param("One two. Three four. Five six.", 6, 2, ["One two. Three four.", "Five six."], id="none when it is too long"),
        pytest.param(
            "A b.\n\nC d. E f. G h. I j.", 12, 0, ["A b.\n\nC d. E f. G h.", "I j."], id="an early paragraph end is no reason to stop"
        ),
        pytest.param("A b.\n\nC d. E f.\n\nG h. I j.", 12, 0, ["A b.\n\nC d. E f.", "G h. I j."], id="a late one is"),
        pytest.param("# One\n\nA b.\n\n# Two\n\nC d.", 99, 0, ["A b.", "C d."], id="never across a heading"),
        pytest.param(
            "a b c d\ne f\ng h i j k", 4, 0, ["a b c d", "e f", "g h i j", "k"], id="a long sentence is cut at lines, then tokens"
        ),
        pytest.param("x" * 100, 2, 0, ["x" * 32, "x" * 32, "x" * 32, "x" * 4], id="a long word is cut anywhere"),
        pytest.param(" \n\n ", 9, 0, [], id="white space holds none"),
        pytest.param("# Only\n\n## Headings\n", 9, 0, [], id="nor do headings"),
    ],
)
def test_documents_are_cut_where_a_reader_would(text: str, max_tokens: int, overlap: int, passages: list[str]) -> None:
    assert [chunk.text for chunk in chunks_of(text, max_tokens, overlap)] == passages


def test_a_chunk_knows_the_headings_above_but_not_its_own_title() -> None:
    chunks = chunks_of("# T\n\na\n\n## B\n\n### C\n\nb", 99)
    assert [chunk.heading for chunk in chunks] == ["", "B > C"]


def test_ids_are_equal_for_equal_text_at_one_place_only() -> None:
    ids = [chunk.chunk_id for chunk in chunks_of("Same.\n\nSame.", 2)]
    assert ids == [chunk.chunk_id for chunk in chunks_of("Same.\n\nSame.", 2)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in ids)


TEXTS = st.lists(
    st.sampled_from(
        ["word", "Next", ". ", " ", "\n", "\n\n", "# Head\n", "====\n", "- ", "x" * 40, "e.g. ", "```\n", "ü", "。", "🙂", "? ", "1. "]
    ),
    max_size=60,
).map("".join)


@settings(deadline=None)
@given(TEXTS, st.integers(2, 30), st.integers(0, 15))
def test_any_text_is_covered_by_exact_slices_that_fit(text: str, max_tokens: int, overlap: int) -> None:
    chunks = chunks_of(text, max_tokens, min(overlap, max_tokens // 2))
    covered: set[int] = set()
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] == chunk.text.strip() != ""
        assert len(starts_of_words(chunk.text)) <= max_tokens
        assert len(chunk.text) <= max_tokens * CHARACTERS_A_TOKEN
        covered.update(range(chunk.start, chunk.end))
    in_headings = {place for heading in find_headings(text) for place in range(heading.start, heading.end)}
    assert {place for place, character in enumerate(text) if not character.isspace()} - in_headings <= covered
    assert not covered & in_headings
    ends = [(chunk.start, chunk.end) for chunk in chunks]
    assert ends == sorted(ends) and len({end for _, end in ends}) == len(ends), "every chunk brings something new"
