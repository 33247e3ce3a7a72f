"""How many steps a run takes, and the learning rate of each. Pure functions of the step, so nothing has to be restored."""

import math

from modelyard.domain.fine_tune import Hyperparameters


def count_steps(knobs: Hyperparameters, rows: int) -> int:
    """Optimizer steps of a run that learns from so many rows."""
    steps = max(1, math.ceil(knobs.epochs * rows / knobs.batch_size))
    return steps if knobs.max_steps is None else min(steps, knobs.max_steps)


def learning_rate(knobs: Hyperparameters, step: int, total: int) -> float:
    """The learning rate of a step, counted from 0: a linear warm-up, then the schedule down to (almost) nothing."""
    warmup = math.ceil(knobs.warmup_ratio * total)
    if step < warmup:
        return knobs.learning_rate * (step + 1) / warmup
    left = 1 - (step - warmup) / max(1, total - warmup)
    if knobs.schedule == "cosine":
        return knobs.learning_rate * (1 - math.cos(math.pi * left)) / 2
    return knobs.learning_rate * (left if knobs.schedule == "linear" else 1.0)
