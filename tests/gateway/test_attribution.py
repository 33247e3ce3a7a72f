import pytest

from modelyard.domain.passage import Passage
from modelyard.gateway.attribution import Attributor, Support, content_words, exact_words

SOURCES = [
    Passage(
        text="An assert statement that fails raises AssertionError. It checks 2 things.", title="assert", file="assert.md", chunk_id="1"
    ),
    Passage(text="The del statement removes a name. Names are bound by assignment.", title="del", file="del.md", chunk_id="2"),
]


def best(sentence: str, question: str = "", among: list[int] | None = None) -> Support | None:
    return Attributor(SOURCES, question).best(sentence, among)


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        pytest.param("Failing assert statements raise AssertionError.", 1, id="word forms are folded"),
        pytest.param("`AssertionError`", 1, id="one name is an answer"),
        pytest.param("The name is removed.", 2, id="another source"),
        pytest.param("Failing assert statements raise ValueError.", None, id="a wrong name is no support, however much else agrees"),
        pytest.param("An assert statement checks 3 things.", None, id="a wrong number is no support"),
        pytest.param(
            "An assert statement that fails does not raise AssertionError.", None, id="a denial is no support where the source has none"
        ),
        pytest.param("Bananas are blue.", None, id="no shared words"),
        pytest.param("It is.", None, id="no content words"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_support_is_found_by_shared_words(sentence: str, source: int | None) -> None:
    support = best(sentence)
    assert (support.source if support and support.suffices else None) == source


def test_the_quote_is_the_sentence_that_says_it() -> None:
    support = best("An assert statement raises AssertionError.")
    assert support is not None
    assert support.quote == "An assert statement that fails raises AssertionError."


def test_two_neighbouring_sentences_may_support_one() -> None:
    support = best("The del statement removes names, which assignment bound.")
    assert support is not None and support.suffices
    assert support.quote == SOURCES[1].text


def test_repeating_the_question_proves_nothing() -> None:
    question = "What does a failing assert statement raise?"
    wrong = best("A failing assert statement will raise havoc.", question)
    right = best("A failing assert statement raises AssertionError.", question)
    assert wrong is not None and not wrong.suffices
    assert right is not None and right.suffices


def test_repeating_the_question_s_denial_is_not_one_of_its_own() -> None:
    support = best(
        "When an assert statement has no message, it raises AssertionError.", "What does an assert statement with no message raise?"
    )
    assert support is not None and support.share > 0


def test_the_search_can_be_held_to_some_sources() -> None:
    support = best("An assert statement raises AssertionError.", among=[2])
    assert support is not None
    assert (support.source, support.suffices) == (2, False)


def test_no_sources_no_support() -> None:
    assert Attributor([]).best("Anything.") is None


def test_words_are_folded_and_names_are_not() -> None:
    assert content_words("The raises raised raising raise IT") == {"rais", "it"}
    assert exact_words("In Python 3.11 `__debug__` and IndexErrors matter") == {"3.11", "__debug__", "indexerrors"}
