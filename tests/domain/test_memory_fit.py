"""The estimates against figures that were worked out by hand for the shape of Llama 2 7B."""

from typing import Any

import pytest

from modelyard.domain.architecture import Architecture
from modelyard.domain.fine_tune import Adapter, FineTune
from modelyard.domain.memory_fit import Estimate, cache_bytes, can_estimate, estimate_serving, estimate_training
from modelyard.domain.model import Serving

LLAMA_7B = Architecture(
    parameters=6_738_415_616,
    layers=32,
    hidden_size=4096,
    heads=32,
    kv_heads=32,
    head_dim=128,
    feed_forward_size=11008,
    gated=True,
    vocabulary=32000,
)


def tune(**knobs: Any) -> FineTune:
    """One row of 1,024 tokens a pass, rank 16."""
    spec: dict[str, Any] = {
        "dataset": {"uri": "train.jsonl"},
        "hyperparameters": {"batchSize": 8, "microBatchSize": 1, "maxLength": 1024} | knobs.pop("hyperparameters", {}),
    }
    return FineTune.model_validate(spec | knobs)


# Weights: 6,738,415,616 × 2 bytes = 12.551 GiB. An adapter of 39,976,960 parameters:
#   × (2 weights + 4 gradients + 4 master + 8 moments) = 719,585,280 = 0.670 GiB.
# Activations, values a token and layer: 2 × 4096 (outputs of the normalizations) + 2 × 4096 (queries, the attention's output)
#   + 2 × 4096 (keys, values) + 4 × 11008 (gate, up, activated gate, their product) = 68,608 × 2 bytes
#   + 2 × 4096 × 4 bytes (inputs of the normalizations) = 169,984 bytes; × 1,024 tokens × 32 layers = 5,570,035,712 = 5.1875 GiB.
#   (Korthikanti et al. say 34 × hidden = 139,264 for a GPT of the same width, whose feed-forward layer is narrower by a quarter.)
# Logits: 1,024 × 32,000 × 4 bytes = 131,072,000 = 0.122 GiB.
ONE = {"weights": 12.551, "adapter and its optimizer": 0.670, "activations": 5.1875, "logits": 0.122, "runtime": 0.5}


@pytest.mark.parametrize(
    ("fine_tune", "expected"),
    [
        pytest.param(tune(), ONE, id="one worker"),
        pytest.param(
            tune(hyperparameters={"microBatchSize": 4}), ONE | {"activations": 20.75, "logits": 0.488}, id="four rows a pass"
        ),
        pytest.param(
            tune(hyperparameters={"dtype": "float32"}),
            # 68,608 × 4 + 32,768 = 307,200 bytes a token and layer; the adapter × (4 + 4 + 12).
            ONE | {"weights": 25.103, "activations": 9.375, "adapter and its optimizer": 0.745},
            id="float32: the weights twice, the normalizations' inputs as before",
        ),
        pytest.param(
            # × (2 + 4 + 12 / 2), × (2 + 4 / 2 + 12 / 2)
            tune(workers={"count": 2}, deepspeed={"zeroStage": 1}),
            ONE | {"adapter and its optimizer": 0.447},
            id="ZeRO 1 shards the optimizer's state",
        ),
        pytest.param(tune(workers={"count": 2}), ONE | {"adapter and its optimizer": 0.372}, id="ZeRO 2 shards the gradients too"),
        pytest.param(
            tune(workers={"count": 2}, deepspeed={"zeroStage": 0}), ONE, id="without ZeRO each worker has all of it"
        ),
        pytest.param(
            # 1,684,603,904 sharded + 500,000,000 gathered = 2,184,603,904 × 2 bytes = 4.069 GiB; 16 rows a pass.
            tune(workers={"count": 4}, deepspeed={"zeroStage": 3}, hyperparameters={"batchSize": 64, "microBatchSize": 16}),
            {"weights": 4.069, "adapter and its optimizer": 0.168, "activations": 83.0, "logits": 1.953, "runtime": 0.5},
            id="ZeRO 3 shards the weights, but for those that are gathered",
        ),
        pytest.param(
            # 6,738,415,616 × (4 gradients + 4 master + 8 moments) bytes = 100.410 GiB.
            tune(adapter={"type": "none"}),
            {key: value for key, value in ONE.items() if "adapter" not in key} | {"gradients and optimizer": 100.410},
            id="all weights: 16 bytes for each beside itself",
        ),
        pytest.param(
            # × (4 / 4 + 12 / 4)
            tune(adapter={"type": "none"}, workers={"count": 4}),
            {key: value for key, value in ONE.items() if "adapter" not in key} | {"gradients and optimizer": 25.103},
            id="all weights under ZeRO 2: a quarter of that on each of four workers",
        ),
        pytest.param(
            # Running, it would be 4.069 + 0.168 + 0.162 + 0.004 + 0.5 = 4.9 GiB.
            tune(workers={"count": 4}, deepspeed={"zeroStage": 3}, hyperparameters={"maxLength": 32}),
            {"weights while they load": 12.551, "runtime": 0.5},
            id="ZeRO 3 loads the weights whole first",
        ),
    ],
)  # fmt: skip
def test_a_training_worker_wants(fine_tune: FineTune, expected: dict[str, float]) -> None:
    assert dict(estimate_training(LLAMA_7B, fine_tune).parts) == pytest.approx(expected, abs=6e-4)


# With adapters on q_proj and v_proj alone, of the feed-forward layer no input and no product is kept:
#   68,608 - 4,096 - 11,008 = 53,504 values × 2 + 32,768 = 139,776 bytes; × 1,024 × 32 = 4.266 GiB.
def test_adapters_on_few_matrices_keep_few_inputs() -> None:
    few = estimate_training(LLAMA_7B, tune(adapter={"targetModules": ["q_proj", "v_proj"]}))
    assert few.parts["activations"] == pytest.approx(4.266, abs=6e-4)


@pytest.mark.parametrize(
    ("knobs", "counted"),
    [
        pytest.param({}, True, id="defaults"),
        pytest.param({"adapter": {"rank": 64, "modulesToSave": ["lm_head"]}, "deepspeed": {"zeroStage": 3}}, True, id="what is counted"),
        pytest.param({"adapter": {"targetPattern": ".*q_proj"}}, False, id="adapters that only a pattern tells"),
        pytest.param({"quantization": {"type": "nf4"}}, False, id="a base in four bits"),
        pytest.param({"gradientCheckpointing": True}, False, id="activations that are computed twice"),
        pytest.param({"deepspeed": {"offload": "optimizer"}}, False, id="an optimizer in main memory"),
    ],
)
def test_a_setting_that_is_not_counted_makes_no_estimate(knobs: dict[str, Any], counted: bool) -> None:
    assert can_estimate(tune(**knobs)) is counted


def test_zero_3_gathers_a_small_model_whole() -> None:
    small = LLAMA_7B.model_copy(update={"parameters": 400_000_000})
    sharded = estimate_training(small, tune(workers={"count": 2}, deepspeed={"zeroStage": 3}))
    assert sharded.parts["weights"] == pytest.approx(400_000_000 * 2 / 2**30)


# Keys and values of a token: 2 × 32 layers × 4,096 × 2 bytes = 0.5 MiB. Five slots of an adapter: 5 × 39,976,960 × 2 = 0.372 GiB.
SERVED = {"weights": 12.551, "key-value cache": 1.0, "adapters": 0.0, "runtime": 0.5}


@pytest.mark.parametrize(
    ("serving", "adapter", "expected"),
    [
        pytest.param({}, None, SERVED, id="the base, by vLLM"),
        pytest.param({"kvCacheGib": 20, "maxModelLength": 8192}, None, SERVED | {"key-value cache": 20}, id="vLLM reserves all of it"),
        pytest.param(
            {"engine": "transformers", "kvCacheGib": 20, "maxModelLength": 8192},
            None,
            SERVED | {"key-value cache": 4.0},
            id="transformers' cache grows up to the longest request",
        ),
        pytest.param({}, Adapter(rank=16), SERVED | {"adapters": 0.372}, id="vLLM reserves all slots for adapters"),
        pytest.param({"engine": "transformers"}, Adapter(rank=16), SERVED | {"adapters": 0.0745}, id="transformers holds what it has"),
    ],
)
def test_an_engine_wants(serving: dict[str, Any], adapter: Adapter | None, expected: dict[str, float]) -> None:
    estimate = estimate_serving(LLAMA_7B, Serving.model_validate(serving), adapter)
    assert dict(estimate.parts) == pytest.approx(expected, abs=6e-4)


def test_a_token_of_llama_2_7b_takes_half_a_mebibyte_of_cache() -> None:
    assert cache_bytes(LLAMA_7B, 1) == 2**19


def test_an_estimate_is_told_with_its_largest_part_first_and_without_what_is_next_to_nothing() -> None:
    assert str(Estimate({"weights": 14.91, "activations": 16.27, "logits": 0.04})) == "31.2 GiB (activations 16.3, weights 14.9)"
