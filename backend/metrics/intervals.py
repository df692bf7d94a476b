"""How sure a mean is, and whether one model is better than another on the same rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean over n rows, and the 95 % interval around it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0


def mean_interval(scores: Sequence[float], seed: int = 0) -> Interval:
    """The mean of `scores` with its percentile bootstrap interval; the same scores and seed give the same interval.

    Raises:
        ValueError: no scores.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    values = np.asarray(scores, dtype=float)
    if not len(values):
        raise ValueError("a mean of nothing has no interval")
    chance = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[chance.integers(0, len(values), (part, len(values)))].mean(axis=1)
            for part in [RESAMPLES // 10] * 10  # in parts, so that many rows do not fill the memory
        ]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high), len(values))


def paired_interval(before: Sequence[float], after: Sequence[float], seed: int = 0) -> Interval:
    """The mean gain from `before` to `after`, row by row, with its interval. Raises ValueError for unequal lengths."""
    return mean_interval([b - a for a, b in zip(before, after, strict=True)], seed)
