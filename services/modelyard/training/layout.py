"""The names of the checkpoints' folder and of the files of each. The first three files are also those of a finished adapter.

A module of its own, so that the driver can know them without loading DeepSpeed and the model code.
"""

CHECKPOINTS_FOLDER = "checkpoints"
"""Below the run folder; Ray Train writes a folder `checkpoint_<time>` for each, and the list of them."""

CHECKPOINT_LIST = f"{CHECKPOINTS_FOLDER}/checkpoint_manager_snapshot.json"
"""What Ray Train resumes from: ray.train.v2._internal.execution.checkpoint.checkpoint_manager, of the version we pin."""

STOP_FILE = "stop.json"
"""In the run folder: the workers shall save and end."""

WEIGHTS_FILE = "adapter_model.safetensors"
"""A whole adapter, as PEFT reads it."""

CONFIG_FILE = "adapter_config.json"

HISTORY_FILE = "history.json"
"""Steps that are done, and their figures."""


def optimizer_file(rank: int) -> str:
    """float32 weights and Adam moments of one worker."""
    return f"optimizer-{rank:04d}.safetensors"
