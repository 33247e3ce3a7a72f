"""One worker of a training run without Ray, for tests: carries out several runs in turn and writes down what came of each.

python ranks.py RANK WORLD FOLDER, with FOLDER/plan.json: a list of {name, spec, stop_after?, resume?, every?, die_in_save?,
preempt_in?, poison_after?}. `every`: each checkpoint has a folder of its own. `die_in_save`: the step in whose checkpoint the
worker ends. `preempt_in`: the step in which it is asked to stop. `poison_after`: the step after whose checkpoint a weight is
no number.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import save_file

from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.errors import InvalidInputError, PreemptedError
from modelyard.domain.job import TrainJob
from modelyard.training.checkpoints import write_checkpoint
from modelyard.training.corpus import read_corpus
from modelyard.training.engine import Place
from modelyard.training.examples import make_examples
from modelyard.training.history import History
from modelyard.training.loop import Loop
from modelyard.training.recovery import choose_checkpoint
from modelyard.training.tokens import load_tokenizer


class StoppedError(Exception):
    """As if the worker had been killed."""


def find_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of a run, or the newest whole one of those that have folders of their own."""
    names = sorted(path.name for path in folder.glob("checkpoint_*"))
    if not names:
        return folder if (folder / "history.json").exists() else None
    chosen = choose_checkpoint(names, lambda name: nullcontext(str(folder / name)))
    return folder / chosen if chosen else None


def carry_out(run: dict[str, object], place: Place, folder: Path) -> None:
    spec = TrainJob.model_validate(run["spec"])
    base = ArtifactStore(spec.store).open(spec.base_digest)
    tokenizer = load_tokenizer(base)
    examples = make_examples(spec, read_corpus(spec), tokenizer)
    place_to_save = folder / str(run["name"])
    place_to_save.mkdir(exist_ok=True)
    checkpoint = find_checkpoint(folder / str(run["resume"])) if "resume" in run else None
    try:
        loop = Loop(spec, base, examples, tokenizer.pad_token_id, place, checkpoint)
    except InvalidInputError as error:
        (place_to_save / f"refusal-{place.rank}.txt").write_text(str(error))
        return

    def tell(history: History) -> None:
        if history.step == run.get("stop_after"):
            raise StoppedError

    def save(loop: Loop) -> None:
        """As Ray does: each worker writes a folder of its own, and all files come together afterwards."""
        part = place_to_save / f"part-{place.rank}"
        part.mkdir()
        write_checkpoint(part, loop.engine, loop.history, spec.base_digest)
        together = place_to_save / f"checkpoint_{loop.history.step:04d}" if run.get("every") else place_to_save
        together.mkdir(exist_ok=True)
        for file in sorted(part.iterdir(), reverse=True):
            if loop.history.step == run.get("die_in_save") and file.name == "optimizer-0000.safetensors":
                (together / file.name).write_bytes(file.read_bytes()[:1000])
                raise StoppedError
            file.rename(together / file.name)
        part.rmdir()
        if loop.history.step == run.get("poison_after"):
            next(parameter for parameter in loop.engine.model.parameters() if parameter.requires_grad).data.fill_(torch.nan)

    try:
        loop.run(tell, save, must_stop=lambda: loop.history.step + 1 == run.get("preempt_in"))
    except StoppedError:
        return
    except (InvalidInputError, PreemptedError) as error:
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
