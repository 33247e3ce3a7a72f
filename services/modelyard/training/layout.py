"""The names of the files of a checkpoint. The first three are also those of a finished adapter.

A module of its own, so that the driver can know them without loading DeepSpeed and the model code.
"""

WEIGHTS_FILE = "adapter_model.safetensors"
"""A whole adapter, as PEFT reads it."""

CONFIG_FILE = "adapter_config.json"

HISTORY_FILE = "history.json"
"""Steps that are done, and their figures."""


def optimizer_file(rank: int) -> str:
    """float32 weights and Adam moments of one worker."""
    return f"optimizer-{rank:04d}.safetensors"
