from typing import Any

import pytest

from modelyard.domain.passage import Passage
from modelyard.gateway.grounding import build_grounded_messages, choose_sources, question_of


def passage(text: str, score: float = 0.5, file: str = "a.md", start: int = 0, heading: str = "") -> Passage:
    return Passage(
        text=text,
        title="Title",
        file=file,
        chunk_id=f"{file}{start}",
        score=score,
        heading=heading,
        start_char=start,
        end_char=start + len(text),
    )


USER = {"role": "user", "content": "What is a yard?"}


@pytest.mark.parametrize(
    ("passages", "budget", "expected"),
    [
        pytest.param([], 10, [], id="nothing found: no sources"),
        pytest.param([passage("low", 0.1), passage("high", 0.9, "b.md")], 10, ["high", "low"], id="the best comes first"),
        pytest.param(
            [passage("aaaa", 0.9), passage("bbbbbbbb", 0.8, "b.md"), passage("cc", 0.7, "c.md")],
            8,
            ["aaaa", "cc"],
            id="what does not fit is left out",
        ),
        pytest.param([passage("One. Two. Three.", 0.9)], 10, ["One. Two."], id="a best passage that is too long is cut after a sentence"),
        pytest.param([passage("Overlong.", 0.9)], 3, [], id="a first sentence that is too long leaves nothing"),
        pytest.param(
            [passage("abcdef", 0.9, start=4), passage("xyabcd", 0.8, start=2)],
            99,
            ["abcdef", "xy"],
            id="overlap before a better one is cut off",
        ),
        pytest.param(
            [passage("abcdef", 0.9), passage("efgh", 0.8, start=4)], 99, ["abcdef", "gh"], id="overlap after a better one is cut off"
        ),
        pytest.param(
            [passage("abcdef", 0.9), passage("cd", 0.8, start=2)], 99, ["abcdef"], id="what is wholly inside a better one is left out"
        ),
        pytest.param(
            [passage("abc", 0.9), passage("abc", 0.8, "b.md")], 99, ["abc", "abc"], id="places in different documents do not overlap"
        ),
    ],
)
def test_sources_are_the_best_that_fit(passages: list[Passage], budget: int, expected: list[str]) -> None:
    sources = choose_sources(passages, budget)
    assert [source.text for source in sources] == expected
    assert all(source.end_char - source.start_char == len(source.text) for source in sources)


def test_a_budget_can_be_in_tokens() -> None:
    sources = choose_sources([passage("one two three", 0.9), passage("four five", 0.8, "b.md")], 4, lambda text: len(text.split()))
    assert [source.text for source in sources] == ["one two three"]


def test_the_last_user_message_holds_sources_best_last_then_question() -> None:
    earlier: list[dict[str, Any]] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
    ]
    grounded = build_grounded_messages(
        [*earlier, USER], [passage("A yard is 3 feet.", heading="Units > Yard"), passage("Feet.", file="b.md")]
    )
    assert grounded[:3] == earlier
    prompt = grounded[3]["content"]
    assert (
        prompt.index("[2] Title\nFeet.") < prompt.index("[1] Units > Yard\nA yard is 3 feet.") < prompt.index("Question: What is a yard?")
    )
    assert prompt.endswith("What is a yard?")
    assert "sources" in prompt.lower()
    assert USER == {"role": "user", "content": "What is a yard?"}, "the caller's messages are not changed"


def test_parts_of_a_question_are_kept() -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    (grounded,) = build_grounded_messages([{"role": "user", "content": parts}], [passage("A yard.")])
    assert grounded["content"][1:] == parts
    assert "[1] Title\nA yard." in grounded["content"][0]["text"]


def test_without_sources_nothing_changes() -> None:
    assert build_grounded_messages([USER], []) == [USER]


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        pytest.param([USER, {"role": "assistant", "content": "Three feet."}], "What is a yard?", id="the last turn of the user"),
        pytest.param([{"role": "user", "content": [{"type": "text", "text": "Why?"}, {"type": "image_url"}]}], "Why?", id="text parts"),
        pytest.param([{"role": "system", "content": "x"}], "", id="nothing was asked"),
        pytest.param([{"role": "user", "content": None}], "", id="an empty message"),
    ],
)
def test_the_question_is_what_to_search_for(messages: list[dict[str, Any]], question: str) -> None:
    assert question_of(messages) == question
