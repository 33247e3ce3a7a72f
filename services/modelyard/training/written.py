"""What was trained, written into a checkpoint: an adapter, or whole weights."""

from collections.abc import Mapping
from pathlib import Path

from peft import PeftModel
from torch import Tensor

from modelyard.training.adapters import write_adapter
from modelyard.training.trainable import Trainable
from modelyard.training.whole import write_whole


def write_trained(folder: Path, model: Trainable, weights: Mapping[str, Tensor], base_digest: str) -> None:
    """Write what `load_trainable` reads back. weights: full (gathered) trainable parameters by their names in the model."""
    if isinstance(model, PeftModel):
        write_adapter(folder, model, weights, base_digest)
    else:
        write_whole(folder, model, weights)
