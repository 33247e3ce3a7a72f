"""The model that a run changes: its base loaded as asked, with what is trained made trainable. Knows no DeepSpeed."""

from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import FineTune, Quantization
from modelyard.training.adapters import add_adapter, read_adapter

Trainable: TypeAlias = PreTrainedModel | PeftModel


def load_trainable(base: Path, fine_tune: FineTune, device: torch.device, resume_from: Path | None = None) -> Trainable:
    """The base with a fresh adapter, or all of it trainable. Equal seeds give equal weights.

    resume_from: a folder that `write_trained` wrote; its weights are taken instead.
    """
    dtype = getattr(torch, fine_tune.hyperparameters.dtype)
    if fine_tune.adapter.type == "none":
        model = AutoModelForCausalLM.from_pretrained(resume_from or base, dtype=dtype)
    else:
        model = load_base(base, fine_tune.quantization, dtype, device)
    if fine_tune.kernels == "liger":
        apply_liger(model, device)
    trainable: Trainable = model
    if fine_tune.adapter.type != "none":
        trainable = add_adapter(model, fine_tune.adapter, fine_tune.hyperparameters.seed)
        if resume_from is not None:
            read_adapter(resume_from, trainable)
    if fine_tune.gradient_checkpointing:
        _checkpoint_gradients(model, fine_tune)
    trainable.train()  # weights are loaded for answering, which has no dropout
    return trainable


def load_base(base: Path, quantization: Quantization, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Frozen weights, in as many bits as asked."""
    config = build_quantization(quantization, dtype)
    if config is None:
        return AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    return AutoModelForCausalLM.from_pretrained(base, dtype=dtype, quantization_config=config, device_map={"": device})


def build_quantization(quantization: Quantization, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """What bitsandbytes is told; None where nothing is quantized. dtype: that layers compute in."""
    if quantization.type == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=quantization.double_quantization,
            bnb_4bit_compute_dtype=dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantization.type == "int8" else None


def apply_liger(model: PreTrainedModel, device: torch.device) -> None:
    """Put fused kernels in the place of a model's norms, rotations and gates. Raises InvalidInputError where there are none.

    The loss stays ours: it is summed over the learned positions alone.
    """
    if device.type != "cuda":
        raise InvalidInputError(f"kernels liger wants a GPU and this worker computes on {device.type}", "set kernels to plain")
    if find_spec("liger_kernel") is None:
        raise InvalidInputError("kernels liger wants the package liger-kernel", "install it on the workers, or set kernels to plain")
    from liger_kernel.transformers import _apply_liger_kernel_to_instance  # type: ignore[import-not-found]

    _apply_liger_kernel_to_instance(model=model, cross_entropy=False, fused_linear_cross_entropy=False)


def _checkpoint_gradients(model: PreTrainedModel, fine_tune: FineTune) -> None:
    # The newer kind compares the shapes of what it computes twice, and those of ZeRO 3 change as it gathers and frees.
    reentrant = fine_tune.deepspeed.zero_stage == 3
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if reentrant:
        # The older kind learns nothing in a layer whose input needs no gradient.
        model.enable_input_require_grads()
