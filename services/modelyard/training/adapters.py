"""LoRA adapters in PEFT's form: put on a model, written and read back."""

import json
import re
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
    """The model with fresh LoRA weights, which with `modulesToSave` are all that is trainable. Equal seeds give equal weights.

    Raises InvalidInputError that names the target modules which the model does not have.
    """
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        use_rslora=adapter.rank_stabilized,
        use_dora=adapter.weight_decomposed,
        target_modules=choose_targets(model, adapter),
        modules_to_save=_choose_saved(model, adapter.modules_to_save),
        bias="none",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    # Adapter weights have the base's precision; the optimizer keeps float32 copies of them.
    return get_peft_model(model, config, autocast_adapter_dtype=False)


def choose_targets(model: PreTrainedModel, adapter: Adapter) -> str | list[str]:
    """What PEFT is told: `all-linear`, or names. With a pattern these are the whole names of the layers that it matches.

    Raises InvalidInputError for a name that the model does not have, and for a pattern that matches no layer.
    """
    targets = adapter.target_modules
    if targets != "all-linear":
        _require_targets(model, targets)
    if not adapter.target_pattern:
        return targets
    head = model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if targets == "all-linear":
        named = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]
    else:
        named = [name for name in linear if _is_meant(name, targets)]
    matched = [name for name in named if re.fullmatch(adapter.target_pattern, name)]
    if not matched:
        raise InvalidInputError(
            f"adapter.targetPattern {adapter.target_pattern!r} matches none of the {len(named)} layers, the first of which is {named[0]}",
            "a pattern has to match the whole name; begin it with .* to match an end",
        )
    return matched


def _choose_saved(model: PreTrainedModel, names: list[str]) -> list[str] | None:
    present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    missing = [name for name in names if name.rpartition(".")[2] not in present]
    if missing:
        raise InvalidInputError(
            f"adapter.modulesToSave names {', '.join(missing)}, which the base does not have",
            "name modules such as lm_head or embed_tokens",
        )
    return names or None


def _is_meant(name: str, targets: list[str]) -> bool:
    """As PEFT matches: a whole name, or its last parts."""
    return any(name == target or name.endswith(f".{target}") for target in targets)


def _require_targets(model: nn.Module, targets: list[str]) -> None:
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    missing = [target for target in targets if not any(_is_meant(name, [target]) for name in linear)]
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
    config |= {"modules_to_save": sorted(config["modules_to_save"])} if config["modules_to_save"] else {}
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_adapter(folder: Path, model: PeftModel) -> None:
    """Put written weights in the place of the model's own."""
    set_peft_model_state_dict(model, load_file(folder / WEIGHTS_FILE))
