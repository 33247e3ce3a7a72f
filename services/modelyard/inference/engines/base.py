"""What an engine is: prompts in, tokens out, adapters swapped in place. Knows no HTTP, no Ray and no store."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn, and when to stop."""

    max_tokens: int
    temperature: float = 1.0
    """0 always takes the likeliest token."""
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these."""


@dataclass(frozen=True)
class Delta:
    """The next piece of an answer."""

    text: str
    tokens: int
    """How many tokens it took; text may lag behind, for instance inside a character of several tokens."""
    finish_reason: FinishReason | None = None
    """Set on the last piece."""


class Engine(Protocol):
    """One base model in memory, with adapters that can be put on it per request."""

    name: str
    """`vllm` or `transformers`."""
    context_length: int
    """Tokens of prompt and answer together."""

    async def start(self) -> None:
        """Load the weights. Called once, before anything else."""

    def render(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The prompt's token ids by the model's chat template. Raises InvalidInputError."""

    def generate(self, prompt_ids: list[int], sampling: Sampling, adapter: str | None) -> AsyncGenerator[Delta, None]:
        """The answer, piece by piece; closing the iterator stops the work. `adapter`: a loaded digest, or None for the base."""

    async def load_adapter(self, digest: str, folder: Path) -> None:
        """Make an adapter usable. Raises InvalidInputError where the engine cannot apply it."""

    async def unload_adapter(self, digest: str) -> None:
        """Forget an adapter. No request may be using it."""

    async def list_adapters(self) -> list[str]:
        """The digests of what is loaded, as the engine itself says."""

    async def check_health(self) -> None:
        """Raise UnavailableError once the engine can no longer answer."""

    def close(self) -> None:
        """Free memory and end child processes."""
