"""The figures of a run, step by step, and what they say about how far it is. Knows no clock: it is told the seconds."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from modelyard.domain.errors import IntegrityError
from modelyard.domain.resource import Progress
from modelyard.training.layout import HISTORY_FILE

RECENT_STEPS = 10
"""Over how many steps loss and speed are averaged for people."""


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
    seconds: float
    validation_loss: float | None = None


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
    def learned_tokens(self) -> int:
        """Over all steps and workers."""
        return sum(point.learned_tokens for point in self.points)

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
        )


def read_history(folder: Path) -> History:
    """How far a checkpoint is. Raises IntegrityError for a damaged one."""
    try:
        return History.model_validate_json((folder / HISTORY_FILE).read_bytes())
    except (OSError, ValidationError):
        raise IntegrityError(f"checkpoint {folder} has no readable {HISTORY_FILE}", "delete the run folder and apply again") from None
