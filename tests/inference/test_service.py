import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.serving import EngineConfig
from modelyard.inference.engines.base import Delta, Sampling
from modelyard.inference.service import EngineService

BASE = "b" * 64


class FakeEngine:
    """Says one word per token and remembers what it was asked."""

    name = "fake"
    context_length = 10

    def __init__(self) -> None:
        self.adapters: list[str] = []
        self.asked: list[tuple[Sampling, str | None]] = []
        self.forgets_adapters = False
        self.closed_early = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> None: ...

    def render(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        return [0] * sum(len(message["content"].split()) for message in messages)

    async def generate(self, prompt_ids: list[int], sampling: Sampling, adapter: str | None) -> AsyncGenerator[Delta, None]:
        self.asked.append((sampling, adapter))
        try:
            yield Delta("one ", 1)
            await self.gate.wait()
            yield Delta("two", 1, "stop")
        except GeneratorExit:
            self.closed_early += 1
            raise

    async def load_adapter(self, digest: str, folder: Path) -> None:
        if not self.forgets_adapters:
            self.adapters.append(digest)

    async def unload_adapter(self, digest: str) -> None:
        self.adapters.remove(digest)

    async def list_adapters(self) -> list[str]:
        return self.adapters

    async def check_health(self) -> None: ...

    def close(self) -> None: ...


def add(store: ArtifactStore, base: str, content: str, kind: str = "adapter") -> str:
    with store.staging(0) as folder:
        (folder / "adapter_config.json").write_text(content)
        return store.add(folder, Manifest(kind=kind, base_digest=base, files=list_files(folder)))  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path.as_uri())


async def chat(service: EngineService, **fields: Any) -> list[dict[str, Any]]:
    return [event async for event in service.chat({"messages": [{"role": "user", "content": "a b c"}], **fields})]


def test_loads_what_is_new_and_unloads_what_is_gone(store: ArtifactStore) -> None:
    async def run() -> None:
        engine = FakeEngine()
        service = EngineService(engine, store, BASE)
        first, second = add(store, BASE, "1"), add(store, BASE, "2")
        await service.configure(EngineConfig(adapters=[first]))
        await service.configure(EngineConfig(adapters=[first, second]))
        assert sorted(engine.adapters) == sorted([first, second])
        await service.configure(EngineConfig(adapters=[second]))
        assert engine.adapters == [second]
        assert (await service.status())["adapters"] == [second]

    asyncio.run(run())


async def problems_of(engine: FakeEngine, store: ArtifactStore, digest: str) -> dict[str, str]:
    """What `status` says after an adapter was asked for; asking raises nothing and the base goes on answering."""
    service = EngineService(engine, store, BASE)
    await service.configure(EngineConfig(adapters=[digest]))
    assert (await chat(service))[0]["kind"] == "start"
    assert (await chat(service, adapter=digest))[0]["reason"] == "unavailable"
    return dict((await service.status())["problems"])


def test_refuses_an_adapter_for_another_base_by_name(store: ArtifactStore) -> None:
    digest = add(store, "c" * 64, "1")
    problems = asyncio.run(problems_of(FakeEngine(), store, digest))
    assert f"adapter {digest[:12]} is an adapter for another base: cccccccccccc, not bbbbbbbbbbbb" in problems[digest]


def test_refuses_weights_where_an_adapter_is_wanted(store: ArtifactStore) -> None:
    digest = add(store, "", "1", kind="causal-lm")
    assert "is a causal-lm, not an adapter" in asyncio.run(problems_of(FakeEngine(), store, digest))[digest]


def test_an_adapter_that_the_engine_does_not_list_afterwards_is_not_loaded(store: ArtifactStore) -> None:
    engine = FakeEngine()
    engine.forgets_adapters = True
    digest = add(store, BASE, "1")
    assert f"does not list adapter {digest[:12]}" in asyncio.run(problems_of(engine, store, digest))[digest]


def test_one_bad_adapter_keeps_no_other_from_loading(store: ArtifactStore) -> None:
    async def run() -> None:
        engine = FakeEngine()
        service = EngineService(engine, store, BASE)
        good = add(store, BASE, "1")
        await service.configure(EngineConfig(adapters=["0" * 64, good]))
        assert engine.adapters == [good]
        assert "artifact 000000000000 is not in" in (await service.status())["problems"]["0" * 64]
        assert [event["kind"] for event in await chat(service, adapter=good)] == ["start", "text", "text"]

    asyncio.run(run())


def test_an_adapter_that_the_engine_lost_is_loaded_again_by_the_health_check(store: ArtifactStore) -> None:
    async def run() -> None:
        engine = FakeEngine()
        service = EngineService(engine, store, BASE)
        digest = add(store, BASE, "1")
        await service.configure(EngineConfig(adapters=[digest]))
        engine.adapters.clear()
        await service.check_health()
        assert engine.adapters == [digest]
        assert (await service.status())["problems"] == {}

    asyncio.run(run())


def test_an_adapter_in_use_is_unloaded_only_after_its_requests(store: ArtifactStore) -> None:
    async def run() -> None:
        engine = FakeEngine()
        service = EngineService(engine, store, BASE)
        digest = add(store, BASE, "1")
        await service.configure(EngineConfig(adapters=[digest]))
        engine.gate.clear()
        request = service.chat({"messages": [{"role": "user", "content": "a"}], "adapter": digest})
        await anext(request)
        change = asyncio.create_task(service.configure(EngineConfig()))
        await asyncio.sleep(0)
        late = await chat(service, adapter=digest)
        assert late[0]["kind"] == "error" and late[0]["reason"] == "unavailable"
        assert engine.adapters == [digest] and not change.done()
        engine.gate.set()
        assert [event["text"] async for event in request] == ["one ", "two"]
        await change
        assert engine.adapters == []

    asyncio.run(run())


def test_streams_the_prompt_length_then_text_with_the_reason_at_the_end(store: ArtifactStore) -> None:
    events = asyncio.run(chat(EngineService(FakeEngine(), store, BASE)))
    assert events == [
        {"kind": "start", "promptTokens": 3},
        {"kind": "text", "text": "one ", "tokens": 1},
        {"kind": "text", "text": "two", "tokens": 1, "finishReason": "stop"},
    ]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(None, 7, id="no limit: all that the context leaves"),
        pytest.param(5, 5, id="a limit that fits is kept"),
        pytest.param(500, 7, id="a limit beyond the context is cut"),
    ],
)
def test_limits_the_answer_to_the_context(store: ArtifactStore, asked: int | None, given: int) -> None:
    engine = FakeEngine()
    asyncio.run(chat(EngineService(engine, store, BASE), maxTokens=asked))
    assert engine.asked[0][0].max_tokens == given


def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(store: ArtifactStore) -> None:
    async def run() -> list[dict[str, Any]]:
        service = EngineService(FakeEngine(), store, BASE)
        return [event async for event in service.chat({"messages": [{"role": "user", "content": "x " * 10}]})]

    (event,) = asyncio.run(run())
    assert event["code"] == "context_length_exceeded" and event["reason"] == "invalid"
    assert "has 10 tokens and the model holds 10" in event["message"]


def test_closing_the_stream_closes_the_generation(store: ArtifactStore) -> None:
    async def run() -> None:
        engine = FakeEngine()
        service = EngineService(engine, store, BASE)
        stream = service.chat({"messages": [{"role": "user", "content": "a"}]})
        await anext(stream), await anext(stream)
        await stream.aclose()
        assert engine.closed_early == 1
        assert (await service.status())["busy"] == 0

    asyncio.run(run())
