"""The figures of a run, step by step, and what they say about how far it is. Knows no clock: it is told the seconds."""

import math
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from modelyard.domain.errors import IntegrityError
from modelyard.domain.resource import Progress
from modelyard.training.layout import HISTORY_FILE

RECENT_STEPS = 10
"""Over how many steps loss and speed are averaged for people."""


UNMEASURED = sys.float_info.max
"""Ranks last among validation losses. Not infinity: Ray's list of checkpoints is JSON, which has none."""


class Point(BaseModel):
    """One optimizer step."""

    step: int
    """Counted from 1."""
    loss: float
    """Mean over the learned tokens of the step."""
    learning_rate: float
    learned_tokens: int
    accuracy: float | None = None
    """The share of the learned tokens that were the likeliest ones."""
    gradient_norm: float | None = None
    """Before it was clipped; None where DeepSpeed does not tell."""
    tokens_per_second: float
    """Tokens read, over all workers."""
    peak_bytes: int = 0
    """The most memory that the first worker has held so far: of its GPU, else of its process."""
    seconds: float
    validation_loss: float | None = None
    saving_seconds: float = 0.0
    """What the checkpoint after this step kept the workers from the next. The checkpoint itself does not know it yet."""


class History(BaseModel):
    """A run so far."""

    total_steps: int
    rows: dict[str, int]
    """How many are learned from, measured on, cut and left out."""
    data: dict[str, Any] = {}
    """What was found in the dataset: its statistics as they are stored with the result."""
    points: list[Point] = []

    @property
    def step(self) -> int:
        """Optimizer steps that are done."""
        return len(self.points)

    @property
    def loss(self) -> float:
        """Mean over the last steps."""
        recent = self.points[-RECENT_STEPS:]
        return sum(point.loss for point in recent) / len(recent)

    @property
    def validation_loss(self) -> float | None:
        """As last measured."""
        return next((point.validation_loss for point in reversed(self.points) if point.validation_loss is not None), None)

    @property
    def best(self) -> Point | None:
        """The step with the lowest validation loss, the first of equals; None before the first measurement."""
        measured = [point for point in self.points if point.validation_loss is not None]
        return min(measured, key=lambda point: point.validation_loss or 0.0, default=None)

    def stalled(self, patience: int, min_delta: float) -> bool:
        """Whether so many measurements in a row were not lower than the lowest before them by at least `min_delta`."""
        lowest, waited = math.inf, 0
        for point in self.points:
            if point.validation_loss is not None:
                better = point.validation_loss < lowest - min_delta
                lowest, waited = (point.validation_loss, 0) if better else (lowest, waited + 1)
                if waited >= patience:
                    return True
        return False

    @property
    def learned_tokens(self) -> int:
        """Over all steps and workers."""
        return sum(point.learned_tokens for point in self.points)

    def metrics(self) -> dict[str, float]:
        """What Ray is told with a checkpoint; one without a measurement is the worst that can be kept."""
        measured = self.points[-1].validation_loss
        return {"step": self.step, "loss": self.loss, "validation_loss": UNMEASURED if measured is None else measured}

    def progress(self) -> Progress:
        """For people who wait."""
        recent = self.points[-RECENT_STEPS:]
        # The first step of an attempt pays for warming up, so it says little about the steps to come.
        typical_s = sorted(point.seconds for point in recent)[len(recent) // 2] if recent else None
        return Progress(
            stage="training",
            step=self.step,
            total_steps=self.total_steps,
            percent=round(100 * self.step / self.total_steps, 1),
            eta_seconds=None if typical_s is None else round(typical_s * (self.total_steps - self.step), 1),
            tokens_per_second=round(recent[-1].tokens_per_second, 1) if recent else None,
            loss=round(recent[-1].loss, 4) if recent else None,
            validation_loss=self.validation_loss,
            **(_figures(recent[-1]) if recent else {}),
        )


def _figures(point: Point) -> dict[str, Any]:
    return {
        "token_accuracy": None if point.accuracy is None else round(point.accuracy, 4),
        "learning_rate": float(f"{point.learning_rate:.4g}"),
        "gradient_norm": None if point.gradient_norm is None else float(f"{point.gradient_norm:.4g}"),
        "peak_memory_bytes": point.peak_bytes or None,
    }


def read_history(folder: Path) -> History:
    """How far a checkpoint is. Raises IntegrityError for a damaged one."""
    try:
        return History.model_validate_json((folder / HISTORY_FILE).read_bytes())
    except (OSError, ValidationError):
        raise IntegrityError(f"checkpoint {folder} has no readable {HISTORY_FILE}", "delete the run folder and apply again") from None
