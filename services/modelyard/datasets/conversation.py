"""One row of a dataset, whatever shape it was written in. Knows no file, no tokenizer and no model."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

Role = Literal["system", "user", "assistant", "tool"]
ROLES = get_args(Role)


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool that the assistant asks for."""

    name: str
    arguments: str
    """A JSON object."""
    id: str = ""


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    content: str
    learned: bool = True
    """Of an assistant's turn: whether it is learned; False where its weight is 0. Other turns never are."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's turn."""
    name: str = ""
    """Of a tool's turn: which tool it was."""
    tool_call_id: str = ""
    """Of a tool's turn: which call it answers."""

    def turn(self) -> dict[str, Any]:
        """As chat templates take it: `role`, `content` and what else is there."""
        turn: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            turn["tool_calls"] = [_call(call) for call in self.tool_calls]
        return turn | {key: getattr(self, key) for key in ("name", "tool_call_id") if getattr(self, key)}


@dataclass(frozen=True)
class Conversation:
    """Turns that end with the assistant's answer."""

    messages: tuple[Message, ...]
    line: int
    """Where it was read, for error messages; counted from 1. In a JSON array or in Parquet: the item's number."""
    tools: str = ""
    """The tools that the assistant may call: a JSON list of function schemas; empty: none."""
    source: str = field(default="", compare=False)
    """The URI of its file, for error messages."""

    @property
    def question(self) -> tuple[Message, ...]:
        """All but the answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """The last assistant message."""
        return self.messages[-1].content

    @property
    def schemas(self) -> list[dict[str, Any]] | None:
        """The tools, as chat templates take them."""
        return json.loads(self.tools) if self.tools else None

    @property
    def digest(self) -> str:
        """sha256 (64 hex digits) of what is said and learned, the same wherever it stands in a dataset."""
        plain = {name: value for name, value in asdict(Message("user", "")).items() if name not in ("role", "content")}
        turns: list[Any] = [
            {name: value for name, value in asdict(message).items() if name not in plain or value != plain[name]}
            for message in self.messages
        ]
        return _sha256([*turns, {"tools": self.tools}] if self.tools else turns)


@dataclass(frozen=True)
class Text:
    """A text that is learned as a whole."""

    text: str
    line: int
    """As of a conversation."""
    source: str = field(default="", compare=False)
    """As of a conversation."""

    @property
    def digest(self) -> str:
        """sha256 (64 hex digits) of the text."""
        return _sha256({"text": self.text})


Row = Conversation | Text


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.loads(call.arguments)}
    return {"type": "function", "function": function} | ({"id": call.id} if call.id else {})


def _sha256(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
