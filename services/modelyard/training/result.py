"""The outcome of a run as an artifact: an adapter in PEFT's form or whole weights, the loss curve and the figures behind it."""

import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.job import TrainJob, TrainResult
from modelyard.training.card import CARD_FILE, write_card
from modelyard.training.companions import companions
from modelyard.training.curve import draw_curve, draw_page
from modelyard.training.history import History, read_history
from modelyard.training.layout import CONFIG_FILE, HISTORY_FILE, WEIGHTS_FILE

PACKAGES = ("deepspeed", "peft", "ray", "torch", "transformers")
SPARE_BYTES = 1 << 20
MODEL_FILES = ("model*.safetensors", "model.safetensors.index.json", "config.json", "generation_config.json")
"""Whole weights, as transformers writes them."""


def store_trained(store: ArtifactStore, spec: TrainJob, checkpoint: Path) -> TrainResult:
    """Store what a checkpoint holds: the adapter, merged with its base where `merge` asks for it, or the whole weights.

    Raises CapacityError, and IntegrityError for a merge that answers differently from what was trained.
    """
    history = read_history(checkpoint)
    whole = not (checkpoint / WEIGHTS_FILE).exists()
    merged = spec.fine_tune.merge and not whole
    base = store.open(spec.base_digest)
    made = [file for pattern in MODEL_FILES for file in sorted(checkpoint.glob(pattern))] if whole else []
    kept = [*(made or (checkpoint / WEIGHTS_FILE, checkpoint / CONFIG_FILE)), checkpoint / HISTORY_FILE]
    kept += companions(base, {file.name for file in kept}) if whole else []
    lineage = describe_lineage(spec, history) | ({"baseDigest": spec.base_digest} if whole else {})
    with store.staging(_size(kept) + (_size(base.iterdir()) if merged else 0) + SPARE_BYTES) as folder:
        if merged:
            # Here and not above: most runs end without loading a model once more.
            from modelyard.training.merging import fill_merged

            lineage |= {"merged": fill_merged(folder, base, checkpoint, spec.fine_tune.quantization) | {"baseDigest": spec.base_digest}}
            kept = [checkpoint / HISTORY_FILE]
        for file in kept:
            shutil.copyfile(file, folder / file.name)
        draw_curve(history, folder / "curve.png")
        draw_page(history, spec.version, folder / "curve.html")
        write_card(folder / CARD_FILE, lineage, spec.base_digest, history)
        manifest = Manifest(
            kind="causal-lm" if whole or merged else "adapter",
            files=list_files(folder),
            base_digest="" if whole or merged else spec.base_digest,
            lineage=lineage,
            packages={name: version(name) for name in PACKAGES},
        )
        digest = store.add(folder, manifest)
    return TrainResult(
        digest=digest,
        kind="causal-lm" if whole or merged else "adapter",
        steps=history.step,
        loss=round(history.loss, 6),
        validation_loss=history.validation_loss,
        tokens=history.learned_tokens,
    )


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def describe_lineage(spec: TrainJob, history: History) -> dict[str, Any]:
    """What came of what."""
    return {
        "version": spec.version,
        "datasetDigest": spec.dataset_digest,
        "fineTune": spec.fine_tune.wire(),
        "rows": history.rows,
        "data": history.data,
        "steps": history.step,
        "tokens": history.learned_tokens,
    }
