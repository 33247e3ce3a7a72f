"""LoRA adapters in PEFT's form: put on a model, written and read back."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Adapter
from modelyard.training.layout import CONFIG_FILE, WEIGHTS_FILE


def add_adapter(model: PreTrainedModel, adapter: Adapter, seed: int) -> PeftModel:
    """The model with fresh LoRA weights, which are all that is trainable. Equal seeds give equal weights.

    Raises InvalidInputError that names the target modules which the model does not have.
    """
    if adapter.target_modules != "all-linear":
        _require_targets(model, adapter.target_modules)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.target_modules,
        bias="none",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    # Adapter weights have the base's precision; the optimizer keeps float32 copies of them.
    return get_peft_model(model, config, autocast_adapter_dtype=False)


def _require_targets(model: nn.Module, targets: list[str]) -> None:
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    # As PEFT matches: a whole name, or its last parts.
    missing = [target for target in targets if not any(name == target or name.endswith(f".{target}") for name in linear)]
    if missing:
        present = sorted({name.rpartition(".")[2] for name in linear})
        raise InvalidInputError(
            f"adapter.targetModules names {', '.join(missing)}, and the linear modules of the base are {', '.join(present)}",
            "choose among those, or write all-linear",
        )


def write_adapter(folder: Path, model: PeftModel, weights: Mapping[str, Tensor], base_digest: str) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`.

    weights: full (gathered) trainable parameters by their names in the model.
    """
    # save_pretrained would write this machine's path of the base into both the configuration and a model card.
    state = get_peft_model_state_dict(model, state_dict=dict(weights), save_embedding_layers=False)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, folder / WEIGHTS_FILE, {"format": "pt"})
    config = model.peft_config[model.active_adapter].to_dict()
    config |= {"base_model_name_or_path": base_digest, "inference_mode": True, "target_modules": sorted(config["target_modules"])}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_adapter(folder: Path, model: PeftModel) -> None:
    """Put written weights in the place of the model's own."""
    set_peft_model_state_dict(model, load_file(folder / WEIGHTS_FILE))
