"""One engine with its adapters in step with what is asked. Knows the artifact store; knows no Ray and no HTTP."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.chat import ChatRequest, ErrorEvent, StartEvent, TextEvent
from modelyard.domain.errors import InvalidInputError, ModelyardError, UnavailableError
from modelyard.domain.serving import EngineConfig
from modelyard.inference.engines.base import Engine, Sampling

logger = logging.getLogger(__name__)


class ContextLengthError(InvalidInputError):
    """The prompt leaves no room for an answer."""


class EngineService:
    """Answers conversations, and loads and unloads adapters while it does."""

    def __init__(self, engine: Engine, store: ArtifactStore, base_digest: str) -> None:
        self._engine, self._store, self._base_digest = engine, store, base_digest
        self._wanted: set[str] = set()
        self._usable: set[str] = set()
        self._problems: dict[str, str] = {}
        self._busy: Counter[str] = Counter()
        """Adapter digest → requests that run on it."""
        self._freed = asyncio.Condition()
        self._change = asyncio.Lock()

    async def configure(self, config: EngineConfig) -> None:
        """Load and unload until the engine holds exactly these adapters.

        What goes leaves first, once its running requests are done; then what is new comes. An adapter that cannot be
        loaded hinders no other and no running request: its problem stands in `status`, and each health check tries again.
        """
        async with self._change:
            self._wanted = set(config.adapters)
            self._usable &= self._wanted
            for digest in sorted(set(await self._engine.list_adapters()) - self._wanted):
                await self._unload(digest)
            await self._load_missing()

    async def chat(self, document: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Continue a conversation; a `ChatRequest` document in, event documents out. Closing the iterator stops the work."""
        try:
            request = ChatRequest.model_validate(document)
            prompt = self._engine.render([message.model_dump() for message in request.messages])
            sampling = self._sampling(request, len(prompt))
            async with self._using(request.adapter):
                yield StartEvent(prompt_tokens=len(prompt)).wire()
                async with aclosing(self._engine.generate(prompt, sampling, request.adapter or None)) as deltas:
                    async for delta in deltas:
                        yield TextEvent(text=delta.text, tokens=delta.tokens, finish_reason=delta.finish_reason).wire()
        except ContextLengthError as error:
            yield ErrorEvent(reason="invalid", code="context_length_exceeded", message=str(error)).wire()
        except ModelyardError as error:
            yield ErrorEvent(reason="unavailable" if error.retryable else "invalid", message=str(error)).wire()

    async def status(self) -> dict[str, Any]:
        """The engine's name, its adapters, why others are missing (digest → reason), and its context length."""
        return {
            "engine": self._engine.name,
            "base_digest": self._base_digest,
            "adapters": await self._engine.list_adapters(),
            "problems": self._problems,
            "context_length": self._engine.context_length,
            "busy": sum(self._busy.values()),
        }

    async def check_health(self) -> None:
        """Raise UnavailableError when the engine is dead. An adapter that it lost is loaded again."""
        await self._engine.check_health()
        if not self._change.locked():
            async with self._change:
                await self._load_missing()

    def close(self) -> None:
        """End the engine."""
        self._engine.close()

    async def _load_missing(self) -> None:
        problems = {}
        for digest in sorted(self._wanted - set(await self._engine.list_adapters())):
            try:
                await self._load(digest)
            except ModelyardError as error:
                problems[digest] = str(error)
        for digest in self._wanted - set(await self._engine.list_adapters()):
            problems.setdefault(digest, f"the engine does not list adapter {digest[:12]} after loading it; it is tried again")
        for digest in problems:
            self._usable.discard(digest)
            if problems[digest] != self._problems.get(digest):
                logger.error("adapter=%s event=not_loaded problem=%s", digest[:12], problems[digest])
        self._problems = problems

    async def _load(self, digest: str) -> None:
        folder = await asyncio.to_thread(self._open_adapter, digest)
        await self._engine.load_adapter(digest, folder)
        self._usable.add(digest)
        logger.info("adapter=%s event=loaded", digest[:12])

    async def _unload(self, digest: str) -> None:
        """Wait for the requests that run on an adapter, then forget it."""
        async with self._freed:
            await self._freed.wait_for(lambda: not self._busy[digest])
        await self._engine.unload_adapter(digest)
        logger.info("adapter=%s event=unloaded", digest[:12])

    @asynccontextmanager
    async def _using(self, adapter: str) -> AsyncIterator[None]:
        """Count a request on its adapter. Raises UnavailableError for one that is not loaded."""
        if adapter and adapter not in self._usable:
            raise UnavailableError(f"adapter {adapter[:12]} is not loaded here", "try again in a moment")
        self._busy[adapter] += 1
        try:
            yield
        finally:
            self._busy[adapter] -= 1
            async with self._freed:
                self._freed.notify_all()

    def _sampling(self, request: ChatRequest, prompt_tokens: int) -> Sampling:
        """Room for the answer is cut to what the context leaves. Raises ContextLengthError when it leaves none."""
        room = self._engine.context_length - prompt_tokens
        if room < 1:
            raise ContextLengthError(
                f"the prompt has {prompt_tokens} tokens and the model holds {self._engine.context_length} with the answer",
                "shorten the messages or raise serving.maxModelLength",
            )
        return Sampling(
            max_tokens=min(request.max_tokens or room, room),
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed,
            stop=tuple(request.stop),
        )

    def _open_adapter(self, digest: str) -> Path:
        manifest = self._store.manifest(digest)
        if manifest.kind != "adapter":
            raise InvalidInputError(
                f"artifact {digest[:12]} is a {manifest.kind}, not an adapter", "route its name to an engine of its own"
            )
        if manifest.base_digest != self._base_digest:
            raise InvalidInputError(
                f"adapter {digest[:12]} is an adapter for another base: {manifest.base_digest[:12]}, not {self._base_digest[:12]}",
                "train it on this base, or serve it on its own",
            )
        return self._store.open(digest)
