"""Write and read what a run needs to go on after a kill: the adapter so far, each worker's optimizer share, the history.

What a step does follows from the seed and its number: its rows, its learning rate, its dropout. So no state of a sampler,
a scheduler or a random generator has to be kept, and a resumed run ends with the weights of an undisturbed one.
"""

from pathlib import Path

from safetensors.torch import load_file, save_file

from modelyard.domain.errors import InvalidInputError
from modelyard.training.engine import Engine
from modelyard.training.history import History
from modelyard.training.integrity import count_workers, write_sums
from modelyard.training.layout import HISTORY_FILE, optimizer_file
from modelyard.training.written import write_trained


def write_checkpoint(folder: Path, engine: Engine, history: History, base_digest: str) -> None:
    """Write this worker's part into a folder of its own; the first worker writes what all share. A barrier under ZeRO 3.

    The list of checksums comes last, so that half a checkpoint is never taken for a whole one.
    """
    state = {name: tensor.cpu().contiguous() for name, tensor in engine.optimizer_state().items()}
    save_file(state, folder / optimizer_file(engine.place.rank))
    weights = engine.weights()
    if engine.place.rank == 0:
        write_trained(folder, engine.model, weights, base_digest)
        (folder / HISTORY_FILE).write_text(history.model_dump_json(indent=1) + "\n")
    write_sums(folder, engine.place.rank, engine.place.world)


def restore_optimizer(folder: Path, engine: Engine, step: int) -> None:
    """Give a worker its optimizer share back, cut anew where another number of workers wrote it.

    Raises InvalidInputError under ZeRO 3 with another number of workers: its shares cannot be put together again.
    """
    workers, place = count_workers(folder), engine.place
    if workers == place.world:
        engine.restore_optimizer(load_file(folder / optimizer_file(place.rank)), step)
        return
    stage = engine.fine_tune.deepspeed.zero_stage
    if stage == 3:
        raise InvalidInputError(
            f"the run was begun by {workers} workers and now has {place.world}: under ZeRO 3 each holds a part of every weight",
            f"set workers.count to {workers} again, or give the model another name to begin anew",
        )
    shares = [load_file(folder / optimizer_file(rank)) for rank in range(workers if engine.shards_optimizer else 1)]
    engine.restore_optimizer(engine.cut_optimizer_state(shares), step)
