import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.domain.passage import Passage
from modelyard.gateway.citing import Citer, cite

SOURCES = [
    Passage(text="An assert statement that fails raises AssertionError.", title="assert", file="docs/assert.md", chunk_id="1"),
    Passage(text="The del statement removes a name.", title="del", file="docs/del.md", chunk_id="2"),
]


@pytest.mark.parametrize(
    ("answer", "marked", "grounded"),
    [
        pytest.param("It raises AssertionError.", "It raises AssertionError. [1]", True, id="a supported sentence is marked"),
        pytest.param("It raises AssertionError", "It raises AssertionError [1]", True, id="the last stop may be missing"),
        pytest.param("It raises ValueError.", "It raises ValueError.", False, id="an unsupported one is not"),
        pytest.param(
            "Del removes names. Bananas are blue.", "Del removes names. [2] Bananas are blue.", False, id="one unsupported sentence tells"
        ),
        pytest.param("Del removes names [2].", "Del removes names [2].", True, id="the model's own mark is kept"),
        pytest.param(
            "Del removes names. [2] It fails.", "Del removes names. [2] It fails. [1]", True, id="a mark after the stop belongs before it"
        ),
        pytest.param("Del removes names [1].", "Del removes names [1].", False, id="a mark is no support by itself"),
        pytest.param("Del removes names [7].", "Del removes names. [2]", True, id="a mark that names no source is dropped"),
        pytest.param("Names fail[1, 7].", "Names fail[1].", False, id="of several numbers the valid ones stay"),
        pytest.param("Names [1, 2] fail.", "Names [1][2] fail.", False, id="several marks at once"),
        pytest.param("See row[0] and [4, 5].", "See row[0] and [4, 5].", False, id="what looks like code is left alone"),
        pytest.param("See `row[1]`.", "See `row[1]`.", False, id="code is left alone"),
        pytest.param(
            "Del removes\n- names [9]\n- bananas", "Del removes [2]\n- names [2]\n- bananas", False, id="items of a list are sentences"
        ),
        pytest.param("```\ndel removes names\n```", "```\ndel removes names\n```", True, id="a mark never breaks a code fence"),
        pytest.param("", "", False, id="an empty answer is not grounded"),
        pytest.param("  \n", "", False, id="white space is an empty answer"),
    ],
)
def test_answers_are_marked(answer: str, marked: str, grounded: bool) -> None:
    cited = cite(answer, SOURCES)
    assert (cited.text, cited.grounded) == (marked, grounded)
    assert all(cited.text[note["index"]] == "[" for note in cited.annotations)


def test_an_annotation_names_the_file_and_quotes_it() -> None:
    cited = cite("A failing assert raises AssertionError. Bananas. Del removes names.", SOURCES)
    assert cited.text == "A failing assert raises AssertionError. [1] Bananas. Del removes names. [2]"
    assert cited.annotations == [
        {"type": "file_citation", "index": 40, "file_id": "docs/assert.md", "filename": "assert.md", "quote": SOURCES[0].text},
        {"type": "file_citation", "index": 72, "file_id": "docs/del.md", "filename": "del.md", "quote": SOURCES[1].text},
    ]


def test_repeating_the_question_is_not_grounded() -> None:
    answer = "An assert statement that fails raises bananas."
    assert cite(answer, SOURCES).grounded
    assert not cite(answer, SOURCES, "What does an assert statement that fails raise?").grounded


def test_text_flows_before_its_sentence_ends() -> None:
    citer = Citer(SOURCES)
    assert citer.feed("It raises") == "It raises"
    assert citer.feed(" AssertionError.") == " AssertionError."
    assert citer.feed(" ") == ""
    assert citer.feed("[") == ""
    assert citer.feed("9] Then") == " [1] Then"
    assert citer.finish() == ""


PIECES = st.sampled_from(
    [
        "AssertionError",
        "names",
        "Del",
        "e.g.",
        ". ",
        ".",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "[1]",
        "[9]",
        "[",
        "]",
        "`",
        "```",
        "2",
        ", ",
        " ",
        "# ",
        "。",
        "x",
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.integers(1, 4))
def test_pieces_are_marked_like_the_whole(answer: str, length: int) -> None:
    citer = Citer(SOURCES)
    shown = "".join(citer.feed(answer[start : start + length]) for start in range(0, len(answer), length)) + citer.finish()
    assert citer.answer == cite(answer, SOURCES)
    assert shown == citer.answer.text
