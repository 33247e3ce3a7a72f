"""What a run needs to go on after a kill, as a folder: the adapter so far, each worker's optimizer share, the history.

adapter_model.safetensors, adapter_config.json   a whole adapter, ready for PEFT
optimizer-RANK.safetensors                       float32 weights and Adam moments of one worker
history.json                                     step and figures so far
"""

from pathlib import Path

from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from modelyard.domain.errors import IntegrityError
from modelyard.training.adapters import write_adapter
from modelyard.training.engine import Engine
from modelyard.training.history import History

HISTORY_FILE = "history.json"


def write_checkpoint(folder: Path, engine: Engine, history: History, base_digest: str) -> None:
    """Write this worker's part; the first worker writes what all share. A barrier under ZeRO 3."""
    state = {name: tensor.cpu().contiguous() for name, tensor in engine.optimizer_state().items()}
    save_file(state, folder / _optimizer_file(engine.place.rank))
    weights = engine.weights()
    if engine.place.rank == 0:
        write_adapter(folder, engine.model, weights, base_digest)
        (folder / HISTORY_FILE).write_text(history.model_dump_json(indent=1) + "\n")


def read_history(folder: Path) -> History:
    """How far a checkpoint is. Raises IntegrityError for a damaged one."""
    try:
        return History.model_validate_json((folder / HISTORY_FILE).read_bytes())
    except (OSError, ValidationError):
        raise IntegrityError(f"checkpoint {folder} has no readable {HISTORY_FILE}", "delete the run folder and apply again") from None


def restore_optimizer(folder: Path, engine: Engine, step: int) -> None:
    """Give a worker its optimizer share back."""
    engine.restore_optimizer(load_file(folder / _optimizer_file(engine.place.rank)), step)


def _optimizer_file(rank: int) -> str:
    return f"optimizer-{rank:04d}.safetensors"
