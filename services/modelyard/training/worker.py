"""The Ray shell of one training worker: who it is, where it goes on, and whom it tells."""

import logging
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray.train
from ray.train.torch import get_device

from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError, ModelyardError
from modelyard.domain.job import TrainJob
from modelyard.training.corpus import read_corpus
from modelyard.training.sweep import sweep_checkpoints

if TYPE_CHECKING:
    from modelyard.training.loop import Loop

logger = logging.getLogger(__name__)


def train_worker(config: dict[str, Any]) -> dict[str, str] | None:
    """Train on one worker; every worker of a run calls this.

    config: `spec` (a TrainJob, JSON) and `run` (URI of the run folder).
    Returns None, or what made all workers give up together, which a restart would not mend: `problem` and `remedy`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    spec, run = TrainJob.model_validate_json(config["spec"]), RunFolder(config["run"])
    try:
        _train(spec, run)
    except InvalidInputError as error:
        # What the user wrote is the same for all workers, and so is the loss: none is left waiting for another.
        return {"problem": error.problem, "remedy": error.remedy}
    except ModelyardError as error:
        # Others may be waiting for this worker, and only its failure ends their wait. As one string, because an
        # exception that travels to the driver is made anew from its arguments.
        raise RuntimeError(str(error)) from None
    return None


def _train(spec: TrainJob, run: RunFolder) -> None:
    # Here and not above: the driver imports this module too, and DeepSpeed and the model code take many seconds to load.
    from modelyard.training.checkpoints import write_checkpoint
    from modelyard.training.engine import Place
    from modelyard.training.examples import make_examples
    from modelyard.training.loop import Loop
    from modelyard.training.tokens import load_tokenizer

    context = ray.train.get_context()
    place = Place(context.get_world_rank(), context.get_world_size(), get_device())
    if place.rank == 0:
        sweep_checkpoints(run)
    base = ArtifactStore(spec.store).open(spec.base_digest)
    tokenizer = load_tokenizer(base)
    examples = make_examples(spec, read_corpus(spec), tokenizer)
    checkpoint = ray.train.get_checkpoint()
    with checkpoint.as_directory() if checkpoint else nullcontext() as folder:
        loop = Loop(spec, base, examples, tokenizer.pad_token_id, place, Path(folder) if folder else None)
    if checkpoint:
        logger.info("resumed after step=%d", loop.history.step)

    def save(loop: "Loop") -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(Path(folder), loop.engine, loop.history, spec.base_digest)
            ray.train.report({"step": loop.history.step, "loss": loop.history.loss}, checkpoint=ray.train.Checkpoint(folder))

    loop.run(tell=lambda history: run.report(history.progress()) if place.rank == 0 else None, save=save)
