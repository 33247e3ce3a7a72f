import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.domain.sentences import sentence_spans


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        pytest.param("One. Two! Three? four", ["One.", "Two!", "Three? four"], id="a small letter continues a sentence"),
        pytest.param("Wrapped\ntext. Next", ["Wrapped\ntext.", "Next"], id="a line break is no end"),
        pytest.param("Above\n\nbelow", ["Above", "below"], id="a blank line is"),
        pytest.param("See this:\n\n  code", ["See this:", "code"], id="a blank line after a colon too"),
        pytest.param("It ends.\n\nsmall", ["It ends.", "small"], id="a blank line ends it, whatever follows"),
        pytest.param("Use e.g. Python. Or Dr. Who", ["Use e.g. Python.", "Or Dr. Who"], id="abbreviations do not end one"),
        pytest.param("1. First\n2. Second", ["1. First", "2. Second"], id="numbered items"),
        pytest.param("Things\n- a\n- b", ["Things", "- a", "- b"], id="bulleted items"),
        pytest.param('He said "no." Then', ['He said "no."', "Then"], id="closing quotes belong before"),
        pytest.param("It fails. [1] Next", ["It fails. [1]", "Next"], id="so do citation marks"),
        pytest.param("```\na. B\n\nc\n```\n\nEnd", ["```\na. B\n\nc\n```", "End"], id="a fenced block is one"),
        pytest.param("好的。再见。", ["好的。", "再见。"], id="scripts without spaces"),
        pytest.param("  \n ", [], id="white space holds none"),
    ],
)
def test_sentences_end_where_a_reader_would_say(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@settings(deadline=None)
@given(st.text(alphabet="aB. \n-1[]`。?", max_size=40))
def test_spans_cover_all_but_white_space_in_order(text: str) -> None:
    spans = sentence_spans(text)
    positions = [place for start, end in spans for place in range(start, end)]
    assert positions == sorted(set(positions))
    assert {place for place, character in enumerate(text) if not character.isspace()} <= set(positions)
