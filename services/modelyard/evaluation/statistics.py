"""How sure a mean over rows is. Pure: knows no metric, no suite and no model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 9_999
SEED = 0
"""The same rows always give the same interval."""

BATCH_VALUES = 10_000_000
"""Values drawn at once, so that a suite of many rows does not need gigabytes."""


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of a metric over rows, with its percentile bootstrap interval (95 %, 9,999 resamples).

    One row, or rows that are all equal, say nothing about spread: both ends are then the mean.
    Raises ValueError without rows.
    Source: Efron & Tibshirani 1993, chapter 13.
    """
    if not values:
        raise ValueError("no rows to take a mean of")
    mean = float(np.mean(values))
    if min(values) == max(values):
        return Interval(values[0], values[0], values[0])
    batch = max(1, BATCH_VALUES // len(values))
    rng = np.random.default_rng(SEED)
    # Not BCa, scipy's default: its acceleration is undefined for the many equal values that a share has.
    drawn = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, batch=batch, confidence_level=CONFIDENCE, method="percentile", vectorized=True, rng=rng
    )
    return Interval(mean, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high))
