import json
from typing import Any

import pytest

from modelyard.datasets.conversation import Conversation, Message, Text, ToolCall
from modelyard.datasets.shapes import convert, detect
from modelyard.domain.errors import InvalidInputError

ASKED = {"role": "user", "content": "Weather in Rome?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
SAID = {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "sun"}
ANSWER = {"role": "assistant", "content": "Sunny."}
TURNS = (
    Message("user", "Weather in Rome?"),
    Message("assistant", "", tool_calls=(ToolCall("weather", '{"city": "Rome"}', "c1"),)),
    Message("tool", "sun", name="weather", tool_call_id="c1"),
    Message("assistant", "Sunny."),
)


def read(row: Any) -> Conversation | Text:
    return convert("rows.jsonl", ("line 3", 3), row, detect("rows.jsonl line 3", row), "the format is")


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        pytest.param({"messages": [ASKED, CALLED, SAID, ANSWER], "tools": [TOOL]}, TURNS, id="chat with tools"),
        pytest.param({"messages": [ASKED, CALLED, SAID, ANSWER], "tools": json.dumps([TOOL])}, TURNS, id="tools as JSON text"),
        pytest.param({"messages": [ASKED, CALLED, SAID, ANSWER], "tools": [TOOL["function"]]}, TURNS, id="tools without their frame"),
        pytest.param(
            {
                "conversations": [
                    {"from": "human", "value": "Weather in Rome?"},
                    {"from": "function_call", "value": json.dumps({**CALL["function"], "id": "c1"})},
                    {"from": "observation", "value": "sun"},
                    {"from": "gpt", "value": "Sunny."},
                ],
                "tools": json.dumps([TOOL["function"]]),
            },
            (*TURNS[:2], Message("tool", "sun"), TURNS[3]),
            id="ShareGPT with tools",
        ),
    ],
)
def test_tools_are_read_from_every_shape_that_has_them(row: dict[str, Any], messages: tuple[Message, ...]) -> None:
    assert read(row) == Conversation(messages, 3, json.dumps([TOOL]))


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        pytest.param(
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "s"},
            (Message("system", "s"), Message("user", "a"), Message("assistant", "b")),
            id="ShareGPT with a system prompt beside it",
        ),
        pytest.param(
            {"messages": [ASKED, {**ANSWER, "weight": 0}, ASKED, {**ANSWER, "weight": 1}]},
            (TURNS[0], Message("assistant", "Sunny.", learned=False), TURNS[0], TURNS[3]),
            id="weights of the assistant's turns",
        ),
        pytest.param({"messages": [{**ASKED, "weight": 0}, ANSWER]}, (TURNS[0], TURNS[3]), id="weight 0 of a question says nothing"),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, ANSWER]},
            (Message("user", "ab"), TURNS[3]),
            id="parts of text",
        ),
        pytest.param(
            {"instruction": "c", "output": "d", "history": [["a", "b"]]},
            (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")),
            id="Alpaca with a history",
        ),
        pytest.param(
            {"prompt": [ASKED, ANSWER, ASKED], "completion": [ANSWER]},
            (TURNS[0], Message("assistant", "Sunny.", learned=False), TURNS[0], TURNS[3]),
            id="answers within a prompt are not learned",
        ),
    ],
)
def test_turns(row: dict[str, Any], messages: tuple[Message, ...]) -> None:
    assert read(row) == Conversation(messages, 3)


def test_a_text_is_a_row_of_its_own() -> None:
    assert read({"text": "Once upon a time."}) == Text("Once upon a time.", 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param({"text": " "}, "line 3: text is empty; write what", id="empty text"),
        pytest.param({"text": 4}, "line 3: text is 4; write text as text", id="a number as text"),
        pytest.param({"text": "\ud800"}, "line 3: text has half of a surrogate pair", id="half a surrogate pair"),
        pytest.param({"conversations": [{"value": "a"}]}, r"conversations\[0\] is an object with the fields value; write", id="no speaker"),
        pytest.param({"conversations": [{"from": "me", "value": "a"}]}, "from the unknown speaker 'me'; use one of system", id="speaker"),
        pytest.param({"conversations": []}, r"conversations is \[\]; write a list", id="no turns"),
        pytest.param({"messages": [{"content": "a"}, ANSWER]}, r"messages\[0\] is an object with the fields content; write", id="no role"),
        pytest.param({"messages": [ASKED, ANSWER], "tools": [{}]}, r"tools\[0\] is of no known shape", id="a tool that is nothing"),
        pytest.param({"messages": [ASKED, ANSWER], "tools": "weather"}, 'tools is "weather"; write a list', id="tools as words"),
        pytest.param({"messages": [ASKED, ANSWER], "tools": {"a": 1}}, "tools is an object with the fields a; write a list", id="a tool"),
        pytest.param(
            {"messages": [ASKED, ANSWER], "tools": [{"type": "retrieval", "function": {"name": "a"}}]},
            r"tools\[0\] is of no known shape: an object",
            id="a tool of another type",
        ),
        pytest.param(
            {"messages": [ASKED, {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "Rome"}}]}]},
            r'tool_calls\[0\] is of no known shape: its arguments are "Rome"; write',
            id="arguments that are no JSON object",
        ),
        pytest.param(
            {"messages": [ASKED, {"role": "assistant", "tool_calls": {"name": "a"}}]}, "tool_calls is an object with", id="one bare call"
        ),
        pytest.param({"messages": [{**ASKED, "tool_calls": [CALL]}, ANSWER]}, "tool_calls in a user message", id="a user who calls"),
        pytest.param({"messages": [ASKED, SAID, ANSWER]}, "has a tool message that answers no call", id="an answer to no call"),
        pytest.param({"messages": [ASKED, ANSWER], "functions": [{}]}, "OpenAI has replaced by tools", id="functions of old"),
        pytest.param(
            {"messages": [ASKED, {"role": "assistant", "content": "", "function_call": {}}, ANSWER]}, "empty answer", id="an empty answer"
        ),
        pytest.param({"messages": [ASKED, {**ANSWER, "weight": 0.5}]}, "weight is 0.5; write 0 or 1", id="half a weight"),
        pytest.param({"messages": [{**ASKED, "weight": 1}, ANSWER]}, "gives weight 1 to a user message", id="a question to learn"),
        pytest.param({"instruction": "c", "output": "d", "history": ["a"]}, r'history\[0\] is "a"; write', id="a history of words"),
    ],
)
def test_errors_name_line_value_and_remedy(row: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read(row)


def test_the_digest_of_a_plain_conversation_is_that_of_its_turns() -> None:
    # Which rows are held out depends on it: runs that were split before must be split so again.
    plain = read({"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]})
    assert plain.digest == "77ea879ec9a0d83f79dc1d5cee83ed65ba1929cd37d9168605e2dfe5ca8ecdda"


def test_what_is_learned_and_what_may_be_called_count_for_the_digest() -> None:
    rows = [
        {"messages": [ASKED, ANSWER, ASKED, ANSWER]},
        {"messages": [ASKED, {**ANSWER, "weight": 0}, ASKED, ANSWER]},
        {"messages": [ASKED, ANSWER, ASKED, ANSWER], "tools": [TOOL]},
        {"messages": [ASKED, CALLED, SAID, ANSWER]},
        {"text": "Sunny."},
    ]
    assert len({read(row).digest for row in rows}) == len(rows)


def test_calls_and_tools_are_handed_to_templates_as_objects() -> None:
    row = read({"messages": [ASKED, CALLED, SAID, ANSWER], "tools": [TOOL]})
    assert isinstance(row, Conversation) and row.schemas == [TOOL]
    called = {**CALL, "function": {"name": "weather", "arguments": {"city": "Rome"}}}
    assert [turn.turn() for turn in row.messages] == [ASKED, {"role": "assistant", "content": "", "tool_calls": [called]}, SAID, ANSWER]
