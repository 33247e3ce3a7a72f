"""What the gateway asks an engine and what comes back: the contract of plain documents that cross a Ray handle.

The answer is a stream of events: `StartEvent`, then `TextEvent`s of which the last has a finish reason; or one
`ErrorEvent`. Errors travel as events, because an exception would arrive wrapped in Ray's.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from modelyard.domain.base import Spec


class Message(Spec):
    """One turn of a conversation."""

    role: str
    content: str


class ChatRequest(Spec):
    """A conversation to continue."""

    messages: list[Message] = Field(min_length=1)
    adapter: str = ""
    """Artifact digest; empty: the base."""
    max_tokens: int | None = Field(default=None, ge=1)
    """None: as many as the context holds."""
    temperature: float = Field(default=1.0, ge=0.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int | None = None
    stop: list[str] = []


class StartEvent(Spec):
    """The prompt is accepted."""

    kind: Literal["start"] = "start"
    prompt_tokens: int


class TextEvent(Spec):
    """The next piece of the answer."""

    kind: Literal["text"] = "text"
    text: str
    tokens: int
    finish_reason: Literal["stop", "length"] | None = None


class ErrorEvent(Spec):
    """Why there is no answer, or no more of it."""

    kind: Literal["error"] = "error"
    reason: Literal["invalid", "unavailable", "failed"]
    """`unavailable`: the same request may succeed later."""
    code: str = ""
    """For programs, as OpenAI's: `context_length_exceeded`."""
    message: str


ChatEvent = Annotated[StartEvent | TextEvent | ErrorEvent, Field(discriminator="kind")]
CHAT_EVENT: TypeAdapter[StartEvent | TextEvent | ErrorEvent] = TypeAdapter(ChatEvent)
