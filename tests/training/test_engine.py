from typing import Any

import pytest

from modelyard.domain.fine_tune import FineTune
from modelyard.training.engine import build_config

# DeepSpeed asks torch for names that are on their way out while it is imported.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def fine_tune(stage: int, **knobs: Any) -> FineTune:
    return FineTune.model_validate(
        {"dataset": {"uri": "rows.jsonl"}, "deepspeed": {"zeroStage": stage}, "workers": {"count": 2}, "hyperparameters": knobs}
    )


def test_deepspeed_is_told_what_the_spec_says() -> None:
    config = build_config(fine_tune(2, batchSize=32, microBatchSize=4, maxGradNorm=0.5), world=2)
    assert config["train_batch_size"] == 32
    assert config["train_micro_batch_size_per_gpu"] == 4
    assert config["gradient_accumulation_steps"] == 4
    assert config["gradient_clipping"] == 0.5
    assert config["zero_optimization"] == {"stage": 2}
    assert config["bf16"] == {"enabled": True}


def test_gradients_are_summed_in_float32_where_zero_can() -> None:
    assert build_config(fine_tune(1), world=2)["data_types"] == {"grad_accum_dtype": "fp32"}
    assert "data_types" not in build_config(fine_tune(0), world=2)


def test_float32_stays_float32() -> None:
    assert build_config(fine_tune(3, dtype="float32"), world=2)["bf16"] == {"enabled": False}
