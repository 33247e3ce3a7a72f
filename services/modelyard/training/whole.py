"""Whole weights in the hub's form: safetensors, in files of 5 GB at most. What full fine-tuning and merging leave behind."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedModel

MAX_SHARD_SIZE = "5GB"


def write_whole(folder: Path, model: PreTrainedModel, weights: Mapping[str, Tensor]) -> None:
    """Write weights, `config.json` and `generation_config.json`.

    weights: full (gathered) parameters by their names in the model; of two that share their memory, one is enough.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    state |= {name: buffer.detach().cpu() for name, buffer in model.named_buffers() if name in model.state_dict()}
    model.save_pretrained(folder, state_dict=state, max_shard_size=MAX_SHARD_SIZE)
