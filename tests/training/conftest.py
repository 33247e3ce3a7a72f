"""A base model small enough to be made on the spot and trained in seconds, and runs of the real job on it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.tiny_models import build_llama, build_tokenizer
from transformers import PreTrainedTokenizerFast

from modelyard.artifacts.content import content_digest
from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.runs import RunFolder
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.fine_tune import Dataset, FineTune, Hyperparameters
from modelyard.domain.job import TrainJob

TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and two special ones."""
    return build_tokenizer(TEMPLATE, eos_token="<|end|>", pad_token="<|end|>", additional_special_tokens=["<|start|>"])


@dataclass
class Yard:
    """A store with a tiny base, and a dataset."""

    folder: Path
    store: ArtifactStore
    base_digest: str
    dataset: Path

    @property
    def base(self) -> Path:
        return self.store.open(self.base_digest)

    def job(self, fine_tune: dict[str, Any] | None = None, **knobs: Any) -> TrainJob:
        """A run of 8 steps; `knobs` and `fine_tune` change it."""
        defaults = {"max_steps": 8, "learning_rate": 1e-2, "batch_size": 8, "micro_batch_size": 4, "dtype": "float32", "max_length": 128}
        asked: dict[str, Any] = {
            "dataset": Dataset(uri=str(self.dataset), validation_split=0.1),
            "adapter": {"rank": 4, "alpha": 8},
            "hyperparameters": Hyperparameters(**{**defaults, "checkpoint_every": 2, "evaluate_every": 4, **knobs}),
            "max_failures": 1,
        }
        return TrainJob(
            store=self.store.root_uri,
            version="tiny-1",
            base_digest=self.base_digest,
            fine_tune=FineTune(**{**asked, **(fine_tune or {})}),
            dataset_digest=content_digest(str(self.dataset)),
        )


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Yard:
    folder = tmp_path_factory.mktemp("yard")
    store = ArtifactStore(str(folder / "artifacts"))
    with store.staging(1 << 20) as made:
        build_llama(tokenizer, tie_word_embeddings=True).save_pretrained(made)
        tokenizer.save_pretrained(made)
        digest = store.add(made, Manifest(kind="causal-lm", files=list_files(made)))
    dataset = folder / "rows.jsonl"
    rows = [{"prompt": f"What comes after {n}?", "completion": f"After {n} comes {n + 1}."} for n in range(60)]
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Yard(folder, store, digest, dataset)


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """Not below tmp_path: the paths of Ray's sockets may have no more than 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="yard-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture
def start(tmp_path: Path, ray_folder: str) -> Callable[[RunFolder], subprocess.Popen[bytes]]:
    """Start the job's main function on a run folder, with a Ray of its own that ends with it."""

    def start(run: RunFolder) -> subprocess.Popen[bytes]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {  # noqa: TID251
            "RAY_ADDRESS": "local",
            "RAY_TMPDIR": ray_folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
        }
        with (tmp_path / "log.txt").open("ab") as log:
            command = [sys.executable, "-m", "modelyard.training", "--run", run.uri]
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    return start


RANKS = Path(__file__).with_name("ranks.py")


def carry_out(folder: Path, world: int, plan: list[dict[str, Any]]) -> None:
    """Carry out a plan with so many workers."""
    (folder / "plan.json").write_text(json.dumps(plan))
    # Workers that meet at the place of earlier ones would find what those left there, and wait for ever.
    (folder / "rendezvous").unlink(missing_ok=True)
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}  # noqa: TID251
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "WORLD_SIZE": str(world)}
    workers = [
        subprocess.Popen(
            [sys.executable, str(RANKS), str(rank), str(world), str(folder)],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [worker.communicate(timeout=500)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * world, "\n".join(outputs)


@pytest.fixture(scope="session")
def run_ranks() -> Callable[[Path, int, list[dict[str, Any]]], None]:
    """Carry out a plan with so many workers, without Ray."""
    return carry_out
