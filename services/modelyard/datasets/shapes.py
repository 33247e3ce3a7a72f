"""The shapes that rows come in: tell them apart, and turn each into a conversation or a text. Reads no file."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from modelyard.datasets.conversation import ROLES, Conversation, Message, Role, Row, Text
from modelyard.datasets.describing import describe
from modelyard.datasets.tools import read_calls, read_tools
from modelyard.domain.errors import InvalidInputError

Shape = Literal["chat", "sharegpt", "alpaca", "prompt-completion", "text"]
Format = Literal["auto", "chat", "sharegpt", "alpaca", "prompt-completion", "text"]

FIELDS: dict[Shape, tuple[str, ...]] = {
    "chat": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "prompt-completion": ("prompt", "completion"),
    "text": ("text",),
}
"""The fields that tell the shapes apart, and that each row must have."""

SHAPES = (
    'write {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]},'
    ' {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]},'
    ' {"instruction": "…", "input": "…", "output": "…"}, {"prompt": "…", "completion": "…"} or {"text": "…"} on each line'
)
SPEAKERS: dict[str, Role] = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "function_call": "assistant", "tool": "tool", "observation": "tool", "function_response": "tool",
}  # fmt: skip
"""`from` of a ShareGPT turn → its role."""


def detect(where: str, row: Any) -> Shape:
    """The shape of a row. Raises InvalidInputError for one of no known shape."""
    if isinstance(row, dict):
        for shape, fields in FIELDS.items():
            if all(row.get(field) is not None for field in fields):
                return shape
    raise InvalidInputError(f"{where} has no known shape: {describe(row)}", SHAPES)


def convert(uri: str, place: tuple[str, int], row: Any, shape: Shape, because: str) -> Row:
    """A row of a stated shape.

    place: for people and as a number, `("line 3", 3)`. because: why that shape is expected, for the error message.
    Raises InvalidInputError that names the place and what was seen there.
    """
    where = f"{uri} {place[0]}"
    if not isinstance(row, dict):
        raise InvalidInputError(f"{where} is not a JSON object: {describe(row)}", SHAPES)
    if any(field not in row for field in FIELDS[shape]):
        found = detect(where, row)
        raise InvalidInputError(f"{where} is {found}, but {because} {shape}", "keep to one format in a dataset")
    if shape == "text":
        return Text(_filled(where, "text", row["text"]), place[1], uri)
    messages = CONVERTERS[shape](where, row)
    _check_turns(where, messages)
    return Conversation(messages, place[1], read_tools(where, row.get("tools")), uri)


def _from_chat(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    if row.get("functions"):
        raise InvalidInputError(f"{where} has functions, which OpenAI has replaced by tools", "write them as tools and tool_calls")
    return _messages(where, "messages", row["messages"])


def _from_sharegpt(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    turns = _list(where, "conversations", row["conversations"], '{"from", "value"}')
    messages = tuple(_speech(f"{where}: conversations[{index}]", turn) for index, turn in enumerate(turns))
    return _with_system(where, row, messages)


def _from_alpaca(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    texts = {field: _text(where, field, row.get(field) or "") for field in ("instruction", "input", "output")}
    question = "\n\n".join(text for text in (texts["instruction"], texts["input"]) if text)
    before: list[Message] = []
    for index, turn in enumerate(row.get("history") or ()):
        if not isinstance(turn, list) or len(turn) != 2:
            raise InvalidInputError(f"{where}: history[{index}] is {describe(turn)}", "write a list of [question, answer]")
        asked, answered = (_text(where, f"history[{index}]", text) for text in turn)
        before += [Message("user", asked), Message("assistant", answered)]
    return _with_system(where, row, (*before, Message("user", question), Message("assistant", texts["output"])))


def _from_prompt_completion(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        # What the assistant says in the prompt is asked, not learned.
        asked = (replace(turn, learned=turn.role != "assistant") for turn in _messages(where, "prompt", prompt))
        return (*asked, *_messages(where, "completion", completion))
    if isinstance(prompt, list) or isinstance(completion, list):
        raise InvalidInputError(f"{where} mixes text and messages in prompt and completion", "write both as text or both as messages")
    return (Message("user", _text(where, "prompt", prompt)), Message("assistant", _text(where, "completion", completion)))


CONVERTERS: dict[str, Callable[[str, dict[str, Any]], tuple[Message, ...]]] = {
    "chat": _from_chat,
    "sharegpt": _from_sharegpt,
    "alpaca": _from_alpaca,
    "prompt-completion": _from_prompt_completion,
}


def _messages(where: str, field: str, value: Any) -> tuple[Message, ...]:
    return tuple(
        _message(f"{where}: {field}[{index}]", item) for index, item in enumerate(_list(where, field, value, '{"role", "content"}'))
    )


def _message(where: str, item: Any) -> Message:
    if not isinstance(item, dict) or "role" not in item or ("content" not in item and not item.get("tool_calls")):
        raise InvalidInputError(f"{where} is {describe(item)}", 'write {"role": "…", "content": "…"}')
    role = item["role"]
    if role not in ROLES:
        raise InvalidInputError(f"{where} has the unknown role {role!r}", f"use one of {', '.join(ROLES)}")
    if item.get("function_call"):
        raise InvalidInputError(f"{where} has function_call, which OpenAI has replaced by tool_calls", "write it as tool_calls")
    calls = read_calls(where, item.get("tool_calls"))
    if calls and role != "assistant":
        raise InvalidInputError(f"{where} has tool_calls in a {role} message", "only the assistant calls tools")
    content = _text(where, "content", "" if calls and item.get("content") is None else item["content"])
    learned = _weight(where, role, item.get("weight"))
    if role != "tool":
        return Message(role, content, learned, calls)
    return Message(role, content, name=str(item.get("name") or ""), tool_call_id=str(item.get("tool_call_id") or ""))


def _speech(where: str, turn: Any) -> Message:
    if not isinstance(turn, dict) or turn.get("from") is None or turn.get("value") is None:
        raise InvalidInputError(f"{where} is {describe(turn)}", 'write {"from": "…", "value": "…"}')
    speaker = turn["from"]
    if not isinstance(speaker, str) or speaker not in SPEAKERS:
        raise InvalidInputError(f"{where} is from the unknown speaker {speaker!r}", f"use one of {', '.join(SPEAKERS)}")
    role = SPEAKERS[speaker]
    learned = _weight(where, role, turn.get("weight"))
    if speaker != "function_call":
        return Message(role, _text(where, "value", turn["value"]), learned)
    try:
        asked = json.loads(turn["value"]) if isinstance(turn["value"], str) else turn["value"]
    except ValueError:
        asked = turn["value"]
    return Message(role, "", learned, read_calls(where, asked if isinstance(asked, list) else [asked]))


def _with_system(where: str, row: dict[str, Any], messages: tuple[Message, ...]) -> tuple[Message, ...]:
    system = _text(where, "system", row.get("system") or "")
    return (Message("system", system), *messages) if system else messages


def _weight(where: str, role: str, weight: Any) -> bool:
    """Whether a turn is learned."""
    if weight is None or (weight == 1 and role == "assistant"):
        return True
    if isinstance(weight, str) or weight not in (0, 1):
        raise InvalidInputError(f"{where}: weight is {describe(weight)}", "write 0 or 1")
    if weight == 1:
        raise InvalidInputError(f"{where} gives weight 1 to a {role} message", "only what the assistant says is learned; leave it out")
    return role != "assistant"


def _list(where: str, field: str, value: Any, item: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InvalidInputError(f"{where}: {field} is {describe(value)}", f"write a list of {item} objects")
    return value


def _text(where: str, field: str, value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(part, dict) and part.get("type") == "text" for part in value):
        value = "".join(str(part.get("text") or "") for part in value)
    if not isinstance(value, str):
        raise InvalidInputError(f"{where}: {field} is {describe(value)}", f"write {field} as text")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInputError(
            f"{where}: {field} has half of a surrogate pair", "write the whole character, in UTF-8 or as both \\u escapes"
        )
    return value


def _filled(where: str, field: str, value: Any) -> str:
    text = _text(where, field, value)
    if not text.strip():
        raise InvalidInputError(f"{where}: {field} is empty", "write what is to be learned, or remove the row")
    return text


def _check_turns(where: str, messages: tuple[Message, ...]) -> None:
    last = messages[-1]
    if last.role != "assistant":
        raise InvalidInputError(f"{where} ends with a {last.role} message", "end each row with the assistant's answer")
    for message in messages:
        if message.role == "assistant" and message.learned and not message.content.strip() and not message.tool_calls:
            raise InvalidInputError(f"{where} has an empty answer", "give the answer that is to be learned, or remove the row")
    if not any(message.role == "user" and message.content.strip() for message in messages):
        raise InvalidInputError(f"{where} asks nothing", "put a user message before the answer")
    called = False
    for message in messages:
        called = called or bool(message.tool_calls)
        if message.role == "tool" and not called:
            raise InvalidInputError(f"{where} has a tool message that answers no call", "put the assistant's tool_calls before it")
