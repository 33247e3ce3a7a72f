"""Plain transformers: one answer at a time, for platforms without vLLM. Slow, and correct."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from tokenizers.decoders import DecodeStream
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from modelyard.domain.serving import EngineArgs
from modelyard.inference.engines.base import Delta, Sampling
from modelyard.inference.engines.stops import StopCutter
from modelyard.inference.engines.template import render_chat

NOT_STARTED = UnavailableError("the engine has not loaded its weights", "wait; it is starting")


class TransformersEngine:
    """`model.generate` in a thread behind a lock; adapters by PEFT."""

    name = "transformers"

    def __init__(self, args: EngineArgs, folder: Path) -> None:
        self.context_length = args.max_model_length
        self._folder = folder
        self._max_adapters = args.max_adapters
        self._model: Any = None
        self._tokenizer: Any = None
        # Adapters are switched on the one model in memory, so nothing may run beside a generation.
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Load weights (bfloat16) and tokenizer."""
        await asyncio.to_thread(self._load)

    def render(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The prompt's token ids by the model's chat template. Raises InvalidInputError."""
        return render_chat(self._tokenizer, messages)

    async def generate(self, prompt_ids: list[int], sampling: Sampling, adapter: str | None) -> AsyncGenerator[Delta, None]:
        """The answer, token by token. Requests wait for each other. Raises NotFoundError for an adapter that is not loaded."""
        async with self._turn:
            if adapter and adapter not in self._loaded():
                raise NotFoundError(f"adapter {adapter[:12]} is not loaded", "wait until the engine lists it")
            tokens: asyncio.Queue[int | None] = asyncio.Queue()
            stop = threading.Event()
            loop = asyncio.get_running_loop()

            def push(token: int | None) -> None:
                loop.call_soon_threadsafe(tokens.put_nowait, token)

            work = loop.run_in_executor(None, self._run, prompt_ids, sampling, adapter, push, stop)
            try:
                async for delta in self._read(tokens, sampling):
                    yield delta
                stop.set()
                await work
            finally:
                # Also when the reader went away: the lock is given back only when the thread has stopped.
                stop.set()
                await asyncio.shield(asyncio.wait([work]))

    async def load_adapter(self, digest: str, folder: Path) -> None:
        """Put an adapter beside the base. Raises InvalidInputError with PEFT's reason when it does not fit."""
        async with self._turn:
            if digest in self._loaded():
                return
            if len(self._loaded()) >= self._max_adapters:
                raise InvalidInputError(f"adapter {digest[:12]} is one more than the {self._max_adapters} that fit", "raise maxAdapters")
            try:
                await asyncio.to_thread(self._load_adapter, digest, str(folder))
            except (ValueError, RuntimeError, KeyError, OSError) as error:
                raise InvalidInputError(f"adapter {digest[:12]} does not fit: {error}", "train it on this base") from error

    async def unload_adapter(self, digest: str) -> None:
        """Forget an adapter."""
        async with self._turn:
            if self._loaded() == {digest}:
                self._model = self._model.unload()
            elif digest in self._loaded():
                self._model.delete_adapter(digest)

    async def list_adapters(self) -> list[str]:
        """The digests that PEFT holds."""
        return sorted(self._loaded())

    async def check_health(self) -> None:
        """Raise UnavailableError before the weights are loaded."""
        if self._model is None:
            raise NOT_STARTED

    def close(self) -> None:
        """Drop the weights."""
        self._model = None

    def _load(self) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(self._folder)
        self._model = AutoModelForCausalLM.from_pretrained(self._folder, dtype=torch.bfloat16).eval()

    def _load_adapter(self, digest: str, folder: str) -> None:
        # By PEFT's own class: the `load_adapter` that transformers 5.19 puts on its models leaves the weights of
        # every adapter but the first at random values, with a log line as the only sign.
        if isinstance(self._model, PeftModel):
            self._model.load_adapter(folder, adapter_name=digest)
        else:
            self._model = PeftModel.from_pretrained(self._model, folder, adapter_name=digest)
        self._model.eval()

    def _loaded(self) -> set[str]:
        return set(self._model.peft_config) if isinstance(self._model, PeftModel) else set()

    def _run(
        self, prompt_ids: list[int], sampling: Sampling, adapter: str | None, push: Callable[[int | None], None], stop: threading.Event
    ) -> None:
        """Generate in this thread; `push` gets each token, then None."""
        try:
            if adapter:
                self._model.set_adapter(adapter)
            without = self._model.disable_adapter() if self._loaded() and not adapter else nullcontext()
            if sampling.seed is not None:
                torch.manual_seed(sampling.seed)
            inputs = torch.tensor([prompt_ids])
            with torch.inference_mode(), without:
                self._model.generate(
                    input_ids=inputs,
                    attention_mask=torch.ones_like(inputs),
                    generation_config=self._generation_config(sampling),
                    streamer=_TokenStream(push),
                    stopping_criteria=[_StopWhenAsked(stop)],
                )
        finally:
            push(None)

    def _generation_config(self, sampling: Sampling) -> GenerationConfig:
        greedy = sampling.temperature == 0
        drawn = {} if greedy else {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        ends = sorted(self._ends())
        return GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=not greedy,
            eos_token_id=ends or None,
            pad_token_id=ends[0] if ends else 0,
            **drawn,
        )

    def _ends(self) -> set[int]:
        configured = self._model.generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        return {token for token in [*listed, self._tokenizer.eos_token_id] if token is not None}

    async def _read(self, tokens: "asyncio.Queue[int | None]", sampling: Sampling) -> AsyncGenerator[Delta, None]:
        """Turn tokens into text until an end token, a stop string or the length ends the answer."""
        decoder = DecodeStream(skip_special_tokens=True)
        cutter, ends, count = StopCutter(sampling.stop), self._ends(), 0
        while (token := await tokens.get()) is not None:
            count += 1
            ended = token in ends
            piece = "" if ended else decoder.step(self._tokenizer.backend_tokenizer, token) or ""
            text = cutter.push(piece)
            if ended or cutter.stopped or count == sampling.max_tokens:
                done = ended or cutter.stopped
                yield Delta(text=text + cutter.flush(), tokens=1, finish_reason="stop" if done else "length")
                return
            yield Delta(text=text, tokens=1)


class _TokenStream(BaseStreamer):  # type: ignore[misc] # transformers is untyped to mypy
    """Passes each new token on; the first call brings the prompt."""

    def __init__(self, push: Callable[[int | None], None]) -> None:
        self._push, self._prompt_seen = push, False

    def put(self, value: torch.Tensor) -> None:
        """value: [1] or [1, prompt tokens]."""
        if self._prompt_seen:
            for token in value.reshape(-1).tolist():
                self._push(int(token))
        self._prompt_seen = True

    def end(self) -> None:
        """The thread itself says when it ended, errors included."""


class _StopWhenAsked(StoppingCriteria):  # type: ignore[misc] # transformers is untyped to mypy
    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._stop.is_set(), dtype=torch.bool)
