"""Estimate the memory of one training worker and of one engine replica from a model's shape. Pure; compares with nothing.

Both are meant to be too low rather than too high: somebody who is refused by mistake is worse off than somebody whose job ends
as out of memory. Left out are the allocator's waste, temporary buffers and whatever lasts for one layer only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from modelyard.domain.architecture import Architecture
from modelyard.domain.fine_tune import Adapter, FineTune
from modelyard.domain.model import Serving

GIB = 2**30
BYTES = {"bfloat16": 2, "float32": 4}
"""Of a number in the formats that training computes in."""
SERVED_BYTES = 2
"""Both engines load weights and adapters as bfloat16."""
FLOAT32 = 4
MOMENTS_AND_MASTER = 3 * FLOAT32
"""AdamW's two moments and DeepSpeed's float32 copy of the weights."""
GATHERED_PARAMETERS = 500_000_000
"""What ZeRO 3 holds whole where forward turns to backward: half of DeepSpeed's `stage3_max_reuse_distance`, which no setting of
ours changes, since each layer is passed once on either side."""
ADAPTER_SLOTS = 5
"""vLLM reserves memory for the four adapters that an engine starts with, and for one more."""
COUNTED = {
    "fine_tune": {"method", "dataset", "adapter", "deepspeed", "hyperparameters", "workers", "merge", "max_failures"},
    "adapter": {"type", "rank", "alpha", "dropout", "rank_stabilized", "weight_decomposed", "target_modules", "modules_to_save"},
    "deepspeed": {"zero_stage"},
}
"""Settings that the estimate takes into account, or that only add to what it says."""
TRAINING_RUNTIME_GIB = 0.5
SERVING_RUNTIME_GIB = 0.5
"""Python, PyTorch and the libraries around it; on an accelerator its context."""


@dataclass(frozen=True)
class Estimate:
    """What something wants, by what it wants it for."""

    parts: Mapping[str, float]
    """GiB."""

    @property
    def total_gib(self) -> float:
        """All parts together."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        told = [f"{name} {gib:.1f}" for name, gib in sorted(self.parts.items(), key=lambda part: -part[1]) if gib >= 0.05]
        return f"{self.total_gib:.1f} GiB ({', '.join(told)})"


def can_estimate(fine_tune: FineTune) -> bool:
    """Whether every setting that may save memory is counted; one that is not, and is used, makes an estimate too high."""
    specs = {"fine_tune": fine_tune, "adapter": fine_tune.adapter, "deepspeed": fine_tune.deepspeed}
    return all(
        field in COUNTED[name] or getattr(spec, field) == described.get_default(call_default_factory=True)
        for name, spec in specs.items()
        for field, described in type(spec).model_fields.items()
    )


def estimate_training(architecture: Architecture, fine_tune: FineTune) -> Estimate:
    """One worker of a run, when a batch has only rows of `maxLength` tokens.

    ZeRO shards what is trained by its stage (Rajbhandari et al. 2020, section 5), and the frozen weights at stage 3 alone. Every
    worker loads them whole all the same, before they are sharded: `training/engine.py` does not build the model in pieces.
    """
    stage, count = fine_tune.deepspeed.zero_stage, fine_tune.workers.count
    width, weights = BYTES[fine_tune.hyperparameters.dtype], float(architecture.parameters)
    sharded = weights / count
    held = sharded + min(weights - sharded, GATHERED_PARAMETERS) if stage == 3 else weights
    loading = _in_gib({"weights while they load": weights * width}, TRAINING_RUNTIME_GIB)
    running = _in_gib(
        {
            "weights": held * width,
            **_trained_bytes(architecture, fine_tune.adapter, width, stage, count),
            "activations": _activation_bytes(architecture, fine_tune),
            "logits": _tokens(fine_tune) * architecture.vocabulary * FLOAT32,
        },
        TRAINING_RUNTIME_GIB,
    )
    return max(running, loading, key=lambda estimate: estimate.total_gib)


def estimate_serving(architecture: Architecture, serving: Serving, adapter: Adapter | None) -> Estimate:
    """One replica of an engine. adapter: of the versions that it serves; None: only the base.

    vLLM (`auto` too) reserves `kvCacheGib` for its key-value cache, on a CPU and on an accelerator alike (`inference/engines/vllm.py`);
    transformers lets it grow up to one request of `maxModelLength`.
    """
    by_vllm = serving.engine != "transformers"
    cache = serving.kv_cache_gib * GIB if by_vllm else cache_bytes(architecture, serving.max_model_length)
    slots = ADAPTER_SLOTS if by_vllm else 1
    adapters = slots * architecture.adapter_parameters(adapter) * SERVED_BYTES if adapter else 0
    parts = {"weights": architecture.parameters * SERVED_BYTES, "key-value cache": cache, "adapters": adapters}
    return _in_gib(parts, SERVING_RUNTIME_GIB)


def cache_bytes(architecture: Architecture, tokens: int) -> int:
    """The keys and values of so many tokens (Kwon et al. 2023, section 3)."""
    return tokens * 2 * architecture.layers * architecture.key_value_size * SERVED_BYTES


def _trained_bytes(architecture: Architecture, adapter: Adapter, width: int, stage: int, count: int) -> dict[str, float]:
    """An adapter, float32 gradients, and AdamW's state: sharded from stage 3, 2 and 1 on. Without an adapter all weights are trained."""
    shares = [(FLOAT32, 2), (MOMENTS_AND_MASTER, 1)]
    if adapter.type == "none":
        name, parameters = "gradients and optimizer", architecture.parameters
    else:
        name, parameters = "adapter and its optimizer", architecture.adapter_parameters(adapter)
        shares.append((width, 3))
    return {name: parameters * sum(size / (count if stage >= first else 1) for size, first in shares)}


def _activation_bytes(architecture: Architecture, fine_tune: FineTune) -> float:
    """What the backward pass needs again of every layer; nothing is computed twice: with gradient checkpointing there is no estimate.

    Counted tensor by tensor as Korthikanti et al. 2022, section 4.1, do, for what is trained here: frozen matrices keep no
    input but that of their adapter, attention is fused and keeps no scores (Dao et al. 2022), and there is no dropout. Of a layer
    remain: the input of both normalizations in float32, queries, keys, values, the attention's output, the inner values of the
    feed-forward layer before its activation (and after it, where they are multiplied by a gate), and the inputs of adapters.
    """
    inner = (3 if architecture.gated else 1) * architecture.feed_forward_size
    values = 2 * architecture.query_size + 2 * architecture.key_value_size + inner + _adapter_inputs(architecture, fine_tune.adapter)
    per_token = values * BYTES[fine_tune.hyperparameters.dtype] + 2 * architecture.hidden_size * FLOAT32
    return float(_tokens(fine_tune) * architecture.layers * per_token)


def _adapter_inputs(architecture: Architecture, adapter: Adapter) -> int:
    """Values that adapters keep of a token, beside those that are kept anyway; adapters on the same input keep it once."""
    inputs = (
        ({"q_proj", "k_proj", "v_proj"}, architecture.hidden_size),
        ({"gate_proj", "up_proj"}, architecture.hidden_size),
        ({"down_proj"}, architecture.feed_forward_size),
    )
    if adapter.target_modules == "all-linear":
        return sum(size for _, size in inputs)
    names = {name.rpartition(".")[2] for name in adapter.target_modules}
    return sum(size for modules, size in inputs if names & modules)


def _tokens(fine_tune: FineTune) -> int:
    return fine_tune.hyperparameters.micro_batch_size * fine_tune.hyperparameters.max_length


def _in_gib(parts: Mapping[str, float], runtime_gib: float) -> Estimate:
    return Estimate({name: size / GIB for name, size in parts.items()} | {"runtime": runtime_gib})
