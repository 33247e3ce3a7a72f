from typing import Any

import pytest

from modelyard.domain.fine_tune import FineTune
from modelyard.training.deepspeed_config import build_config


def fine_tune(stage: int, deepspeed: dict[str, Any] | None = None, **knobs: Any) -> FineTune:
    return FineTune.model_validate(
        {
            "dataset": {"uri": "rows.jsonl"},
            "deepspeed": {"zeroStage": stage, **(deepspeed or {})},
            "workers": {"count": 2},
            "hyperparameters": knobs,
        }
    )


def test_deepspeed_is_told_what_the_spec_says() -> None:
    assert build_config(fine_tune(2, batchSize=32, microBatchSize=4, maxGradNorm=0.5), world=2) == {
        "train_batch_size": 32,
        "train_micro_batch_size_per_gpu": 4,
        "gradient_accumulation_steps": 4,
        "gradient_clipping": 0.5,
        "zero_optimization": {"stage": 2},
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": True},
        "steps_per_print": 1_000_000_000,
        "communication_data_type": "fp32",
        "data_types": {"grad_accum_dtype": "fp32"},
    }


def test_gradients_are_summed_in_float32_where_zero_can() -> None:
    assert build_config(fine_tune(1), world=2)["data_types"] == {"grad_accum_dtype": "fp32"}
    assert "data_types" not in build_config(fine_tune(0), world=2)


def test_float32_stays_float32() -> None:
    assert build_config(fine_tune(3, dtype="float32"), world=2)["bf16"] == {"enabled": False}


CPU = {"device": "cpu", "pin_memory": True}
NVME = {"device": "nvme", "nvme_path": "/scratch", "pin_memory": True}


@pytest.mark.parametrize(
    ("stage", "deepspeed", "expected"),
    [
        pytest.param(2, {"offload": "optimizer"}, {"stage": 2, "offload_optimizer": CPU}, id="the optimizer lies in main memory"),
        pytest.param(3, {"offload": "parameters"}, {"stage": 3, "offload_optimizer": CPU, "offload_param": CPU}, id="parameters do too"),
        pytest.param(
            3,
            {"offload": "parameters", "nvmePath": "/scratch"},
            {"stage": 3, "offload_optimizer": NVME, "offload_param": NVME},
            id="both lie on a disk",
        ),
    ],
)
def test_what_is_offloaded_goes_with_pytorchs_optimizer(stage: int, deepspeed: dict[str, Any], expected: dict[str, Any]) -> None:
    config = build_config(fine_tune(stage, deepspeed), world=2)
    assert config["zero_optimization"] == expected
    assert config["zero_force_ds_cpu_optimizer"] is False, "else DeepSpeed wants its own, which compiles for minutes"
