"""What clients may send: OpenAI's request bodies. Unknown fields are ignored, as OpenAI does; wrong types are refused."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MAX_SEED = 2**63 - 1


class Body(BaseModel):
    """A part of a request."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)


class TextPart(Body):
    """One part of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(Body):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The content as one string."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""

    def plain(self) -> dict[str, str]:
        """Role and content as chat templates know them."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.text}


class FileSearchTool(Body):
    """Answer from knowledge bases."""

    type: Literal["file_search"]
    vector_store_ids: list[str] = Field(min_length=1)
    """Names of KnowledgeBases."""
    max_num_results: int | None = Field(default=None, ge=1, le=50)
    """Passages per knowledge base."""


class StreamOptions(Body):
    """What a stream carries beside the answer."""

    include_usage: bool = False


class ChatBody(Body):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int | None = Field(default=None, ge=-MAX_SEED - 1, le=MAX_SEED)
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    n: int | None = None
    stream: bool | None = None
    user: str | None = None
    """Who asks, by the application's own word; only used to keep a user with one version."""
    stream_options: StreamOptions | None = None
    tools: list[FileSearchTool] | None = None

    @field_validator("tools", mode="before")
    @classmethod
    def _known_tools(cls, tools: Any) -> Any:
        kinds = [tool.get("type") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        for kind in kinds:
            if kind != "file_search":
                raise ValueError(f"tools of type {kind!r} are not served; send only type 'file_search'")
        return tools

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if self.n not in (None, 1):
            raise ValueError(f"n is {self.n} and only 1 is served; send the request {self.n} times instead")
        return self

    @property
    def answer_tokens(self) -> int | None:
        """The limit of the answer, by its new name or its old one."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """Stop strings as a list."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or [])


class EmbeddingsBody(Body):
    """`POST /v1/embeddings`."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    """What is sent when the field is missing, as OpenAI does; its SDK asks for base64 of its own accord."""
    dimensions: int | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _texts_only(cls, value: Any) -> Any:
        if value == []:
            raise ValueError("the list is empty; send at least 1 text")
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, int | list):
            raise ValueError("token ids belong to another model's tokenizer; send text (LangChain: check_embedding_ctx_length=False)")
        return value

    @property
    def texts(self) -> list[str]:
        """The input as a list."""
        return [self.input] if isinstance(self.input, str) else list(self.input)
