"""What DeepSpeed is told. Pure; knows neither DeepSpeed nor PyTorch."""

from typing import Any

from modelyard.domain.fine_tune import DeepSpeed, FineTune


def build_config(fine_tune: FineTune, world: int) -> dict[str, Any]:
    """The configuration of one run. world: how many workers train together."""
    knobs, stage = fine_tune.hyperparameters, fine_tune.deepspeed.zero_stage
    config: dict[str, Any] = {
        "train_batch_size": knobs.batch_size,
        "train_micro_batch_size_per_gpu": knobs.micro_batch_size,
        "gradient_accumulation_steps": knobs.batch_size // (knobs.micro_batch_size * world),
        "gradient_clipping": knobs.max_grad_norm,
        "zero_optimization": {"stage": stage, **_offload(fine_tune.deepspeed)},
        # The optimizer is PyTorch's: DeepSpeed's own would compile at first use.
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": knobs.dtype == "bfloat16"},
        "steps_per_print": 1_000_000_000,
    }
    if fine_tune.deepspeed.offload != "none":
        config["zero_force_ds_cpu_optimizer"] = False
    if stage > 0:
        # Sums of many bfloat16 gradients would lose the small ones.
        config |= {"communication_data_type": "fp32", "data_types": {"grad_accum_dtype": "fp32"}}
    return config


def _offload(deepspeed: DeepSpeed) -> dict[str, Any]:
    if deepspeed.offload == "none":
        return {}
    place: dict[str, Any] = {"device": "nvme", "nvme_path": deepspeed.nvme_path} if deepspeed.nvme_path else {"device": "cpu"}
    place["pin_memory"] = True
    return {"offload_optimizer": place} | ({"offload_param": place} if deepspeed.offload == "parameters" else {})
