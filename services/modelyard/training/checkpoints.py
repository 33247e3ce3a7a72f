"""Write and read what a run needs to go on after a kill: the adapter so far, each worker's optimizer share, the history."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from modelyard.training.engine import Engine
from modelyard.training.history import History
from modelyard.training.layout import HISTORY_FILE, optimizer_file
from modelyard.training.written import write_trained


def write_checkpoint(folder: Path, engine: Engine, history: History, base_digest: str) -> None:
    """Write this worker's part; the first worker writes what all share. A barrier under ZeRO 3."""
    state = {name: tensor.cpu().contiguous() for name, tensor in engine.optimizer_state().items()}
    save_file(state, folder / optimizer_file(engine.place.rank))
    weights = engine.weights()
    if engine.place.rank == 0:
        write_trained(folder, engine.model, weights, base_digest)
        (folder / HISTORY_FILE).write_text(history.model_dump_json(indent=1) + "\n")


def restore_optimizer(folder: Path, engine: Engine, step: int) -> None:
    """Give a worker its optimizer share back."""
    engine.restore_optimizer(load_file(folder / optimizer_file(engine.place.rank)), step)
