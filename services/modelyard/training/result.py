"""The outcome of a run as an artifact: the adapter in PEFT's form, the loss curve and the figures behind it."""

import shutil
from importlib.metadata import version
from pathlib import Path

from modelyard.artifacts.manifest import Manifest, list_files
from modelyard.artifacts.store import ArtifactStore
from modelyard.domain.job import TrainJob, TrainResult
from modelyard.training.curve import draw_curve
from modelyard.training.history import read_history
from modelyard.training.layout import CONFIG_FILE, HISTORY_FILE, WEIGHTS_FILE

PACKAGES = ("deepspeed", "peft", "ray", "torch", "transformers")
SPARE_BYTES = 1 << 20


def store_adapter(store: ArtifactStore, spec: TrainJob, checkpoint: Path) -> TrainResult:
    """Store what the last checkpoint of a run holds. Raises CapacityError, IntegrityError."""
    history = read_history(checkpoint)
    kept = (WEIGHTS_FILE, CONFIG_FILE, HISTORY_FILE)
    needed = sum((checkpoint / name).stat().st_size for name in kept) + SPARE_BYTES
    with store.staging(needed) as folder:
        for name in kept:
            shutil.copyfile(checkpoint / name, folder / name)
        draw_curve(history, folder / "curve.png")
        manifest = Manifest(
            kind="adapter",
            files=list_files(folder),
            base_digest=spec.base_digest,
            lineage={
                "version": spec.version,
                "datasetDigest": spec.dataset_digest,
                "fineTune": spec.fine_tune.wire(),
                "rows": history.rows,
                "data": history.data,
                "steps": history.step,
                "tokens": history.learned_tokens,
            },
            packages={name: version(name) for name in PACKAGES},
        )
        digest = store.add(folder, manifest)
    return TrainResult(
        digest=digest,
        steps=history.step,
        loss=round(history.loss, 6),
        validation_loss=history.validation_loss,
        tokens=history.learned_tokens,
    )
