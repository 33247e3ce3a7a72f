"""One worker of a training run without Ray, for tests: carries out several runs in turn and writes down what came of each.

python ranks.py RANK WORLD FOLDER, with FOLDER/plan.json: a list of {name, spec, stop_after?, resume?}.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.job import TrainJob
from modelyard.training.checkpoints import write_checkpoint
from modelyard.training.corpus import read_corpus
from modelyard.training.engine import Place
from modelyard.training.examples import make_examples
from modelyard.training.history import History
from modelyard.training.loop import Loop
from modelyard.training.tokens import load_tokenizer


class StoppedError(Exception):
    """As if the worker had been killed."""


def carry_out(run: dict[str, object], place: Place, folder: Path) -> None:
    spec = TrainJob.model_validate(run["spec"])
    base = ArtifactStore(spec.store).open(spec.base_digest)
    tokenizer = load_tokenizer(base)
    examples = make_examples(spec, read_corpus(spec), tokenizer)
    checkpoint = folder / str(run["resume"]) if "resume" in run else None
    place_to_save = folder / str(run["name"])
    place_to_save.mkdir(exist_ok=True)
    loop = Loop(spec, base, examples, tokenizer.pad_token_id, place, checkpoint)

    def tell(history: History) -> None:
        if history.step == run.get("stop_after"):
            raise StoppedError

    try:
        loop.run(tell, save=lambda loop: write_checkpoint(place_to_save, loop.engine, loop.history, spec.base_digest))
    except StoppedError:
        return
    except InvalidInputError as error:
        (place_to_save / f"refusal-{place.rank}.txt").write_text(str(error))
        return
    weights = loop.engine.weights()
    if place.rank == 0:
        # What is there without gathering: under ZeRO 3 nothing, and that is what many programs save.
        named = loop.engine.model.named_parameters()
        save_file(
            {name: weight.detach().clone() for name, weight in named if weight.requires_grad}, place_to_save / "ungathered.safetensors"
        )
        save_file(weights, place_to_save / "weights.safetensors")


def main(rank: int, world: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    for run in json.loads((folder / "plan.json").read_text()):
        carry_out(run, Place(rank, world, torch.device("cpu")), folder)
        torch.distributed.barrier()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
