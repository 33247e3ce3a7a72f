"""Read supervised rows as conversations, whatever shape they are written in. Knows no tokenizer and no model."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import fsspec

from modelyard.domain.errors import InvalidInputError, NotFoundError

Role = Literal["system", "user", "assistant"]
Format = Literal["auto", "chat", "alpaca", "prompt-completion"]

FIELDS = {"chat": ("messages",), "alpaca": ("instruction", "output"), "prompt-completion": ("prompt", "completion")}
"""The fields that tell the formats apart, and that each row must have."""

ROLES = get_args(Role)
SHAPES = (
    'write {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]},'
    ' {"instruction": "…", "input": "…", "output": "…"} or {"prompt": "…", "completion": "…"} on each line'
)
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    content: str


@dataclass(frozen=True)
class Conversation:
    """Turns that end with the assistant's answer."""

    messages: tuple[Message, ...]
    line: int
    """Where it was read, for error messages; counted from 1. In a JSON array: the item's number."""

    @property
    def question(self) -> tuple[Message, ...]:
        """All but the answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """The last assistant message."""
        return self.messages[-1].content


def read_conversations(uri: str, format: Format = "auto") -> list[Conversation]:
    """Every row of a dataset, in its order.

    uri: any fsspec URI or a local path; `.gz`, `.xz` and `.zst` are unpacked. JSON Lines, or one JSON array.
    format: `auto` takes the format of the first row; rows of another one are refused.
    Raises NotFoundError, or InvalidInputError that names the line and what was seen there.
    """
    rows = list(_parse(uri, _read_text(uri)))
    if not rows:
        raise InvalidInputError(f"dataset {uri} is empty", SHAPES)
    chosen = _detect(uri, *rows[0]) if format == "auto" else format
    because = "the rows before it are" if format == "auto" else "the format is"
    return [_convert(uri, line, row, chosen, because) for line, row in rows]


def _read_text(uri: str) -> str:
    try:
        with fsspec.open(uri, "rb", compression="infer") as stream:
            data: bytes = stream.read()
    except FileNotFoundError:
        raise NotFoundError(f"dataset {uri} does not exist", "correct dataset.uri or put the file there") from None
    except IsADirectoryError:
        raise InvalidInputError(f"dataset {uri} is a folder", "name one JSON Lines file in it") from None
    except PermissionError:
        raise InvalidInputError(f"dataset {uri} may not be read by this user", "grant read access to it") from None
    except (ValueError, ImportError) as error:
        raise InvalidInputError(f"dataset {uri} cannot be opened: {error}", "use file://, s3:// or gs://") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(f"{uri} line {line} is not UTF-8 text", "save the dataset as JSON Lines in UTF-8") from None


def _parse(uri: str, text: str) -> Iterator[tuple[int, Any]]:
    if text.lstrip().startswith("["):
        yield from enumerate(_parse_array(uri, text), start=1)
        return
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise InvalidInputError(
                    f"{uri} line {number} is not JSON: {error.msg} at column {error.colno}, in {_show(line.strip())}",
                    "write one whole JSON object on each line",
                ) from None


def _parse_array(uri: str, text: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"{uri} line {error.lineno} is not JSON: {error.msg} at column {error.colno}", "mend the JSON array or write JSON Lines"
        ) from None


def _detect(uri: str, line: int, row: Any) -> str:
    if isinstance(row, dict):
        for name, fields in FIELDS.items():
            if all(field in row for field in fields):
                return name
    raise InvalidInputError(f"{uri} line {line} has no known shape: {_describe(row)}", SHAPES)


def _convert(uri: str, line: int, row: Any, chosen: str, because: str) -> Conversation:
    where = f"{uri} line {line}"
    if not isinstance(row, dict):
        raise InvalidInputError(f"{where} is not a JSON object: {_describe(row)}", SHAPES)
    if any(field not in row for field in FIELDS[chosen]):
        found = _detect(uri, line, row)
        raise InvalidInputError(f"{where} is {found}, but {because} {chosen}", "keep to one format in a dataset")
    messages = CONVERTERS[chosen](where, row)
    _check_turns(where, messages)
    return Conversation(messages, line)


def _from_chat(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    for field in ("tools", "functions"):
        if row.get(field):
            raise InvalidInputError(f"{where} has {field}, and tool calls cannot be learned yet", "remove the row or that field")
    return _messages(where, "messages", row["messages"])


def _from_alpaca(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    texts = {field: _text(where, field, row.get(field) or "") for field in ("system", "instruction", "input", "output")}
    question = "\n\n".join(text for text in (texts["instruction"], texts["input"]) if text)
    turns = (Message("user", question), Message("assistant", texts["output"]))
    return (Message("system", texts["system"]), *turns) if texts["system"] else turns


def _from_prompt_completion(where: str, row: dict[str, Any]) -> tuple[Message, ...]:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return (*_messages(where, "prompt", prompt), *_messages(where, "completion", completion))
    if isinstance(prompt, list) or isinstance(completion, list):
        raise InvalidInputError(f"{where} mixes text and messages in prompt and completion", "write both as text or both as messages")
    return (Message("user", _text(where, "prompt", prompt)), Message("assistant", _text(where, "completion", completion)))


CONVERTERS: dict[str, Callable[[str, dict[str, Any]], tuple[Message, ...]]] = {
    "chat": _from_chat,
    "alpaca": _from_alpaca,
    "prompt-completion": _from_prompt_completion,
}


def _messages(where: str, field: str, value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidInputError(f"{where}: {field} is {_describe(value)}", 'write a list of {"role", "content"} objects')
    return tuple(_message(f"{where}: {field}[{index}]", item) for index, item in enumerate(value))


def _message(where: str, item: Any) -> Message:
    if not isinstance(item, dict) or "role" not in item or "content" not in item:
        raise InvalidInputError(f"{where} is {_describe(item)}", 'write {"role": "…", "content": "…"}')
    role = item["role"]
    if role not in ROLES:
        raise InvalidInputError(f"{where} has the unknown role {role!r}", f"use one of {', '.join(ROLES)}")
    return Message(role, _text(where, "content", item["content"]))


def _text(where: str, field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(f"{where}: {field} is {_describe(value)}", f"write {field} as text")
    return value


def _check_turns(where: str, messages: tuple[Message, ...]) -> None:
    last = messages[-1]
    if last.role != "assistant":
        raise InvalidInputError(f"{where} ends with a {last.role} message", "end each row with the assistant's answer")
    if not last.content.strip():
        raise InvalidInputError(f"{where} has an empty answer", "give the answer that is to be learned, or remove the row")
    if not any(message.role == "user" and message.content.strip() for message in messages):
        raise InvalidInputError(f"{where} asks nothing", "put a user message before the answer")


def _describe(value: Any) -> str:
    """What was found, in a few words."""
    if isinstance(value, dict):
        return f"an object with the fields {', '.join(sorted(map(str, value))) or '(none)'}"
    return _show(json.dumps(value, ensure_ascii=False))


def _show(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
