"""How sure a number over rows is: the same random rows are drawn for all metrics, so that one drawing serves all."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from backend.metrics.metric import Metric, Table, mean_of

RESAMPLES = 10_000
LEAST_RESAMPLES = 2_000
LEVEL = 0.95
_MOST_DRAWS = 200_000_000  # rows drawn in all, about 5 s on one core; above 20,000 rows there are fewer resamples
_DRAWS_AT_ONCE = 1_000_000  # about 30 MB


class Interval(NamedTuple):
    """A number over n rows, and the 95 % interval around it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def is_above_zero(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0


def intervals(measured: Sequence[tuple[Metric, Table]], seed: int = 0) -> list[Interval | None]:
    """Give each metric over all rows with its percentile bootstrap interval.

    Args:
        measured: metrics with their statistics of the same rows, (rows, k) each with its own k.
        seed: the same tables and seed give the same intervals.

    Returns:
        In the order of `measured`; None where a metric applies to no row. `n` counts the rows that it applies to, yet
        all rows are drawn, so that how many of them it meets is part of the doubt. There are 10,000 resamples, fewer
        above 20,000 rows, never under 2,000.

    Raises:
        ValueError: tables of unequal length.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    if len({len(table) for _, table in measured}) > 1:
        raise ValueError("the tables must hold the same rows")
    sums = resampled([table for _, table in measured], seed)
    return [
        _interval(metric, table, resampled_sums) for (metric, table), resampled_sums in zip(measured, sums, strict=True)
    ]


def resampled(tables: Sequence[Table], seed: int = 0) -> list[Table]:
    """Give the sums of each table over the same randomly drawn rows, (resamples, k) each; as few rows as there are."""
    if not tables or not len(tables[0]):
        return [np.zeros((0, table.shape[1])) for table in tables]
    stacked = np.concatenate(tables, axis=1)
    sums = np.concatenate([counts @ stacked for counts in _row_counts(len(stacked), seed)])
    return np.split(sums, np.cumsum([table.shape[1] for table in tables])[:-1], axis=1)


def rows_met(*tables: Table) -> int:
    """Count the rows that a metric applies to: those with any statistic in any of its tables."""
    return int(np.any([table.any(axis=1) for table in tables], axis=0).sum())


def around(value: float, resampled_values: Table, n: int) -> Interval:
    """Put the percentile interval of drawn values around a value; values that are not defined are left out."""
    low, high = np.nanquantile(resampled_values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high), n)


def mean_interval(scores: Sequence[float], seed: int = 0) -> Interval:
    """The mean of `scores` with its percentile bootstrap interval; the same scores and seed give the same interval.

    Raises:
        ValueError: no scores.
    """
    if not len(scores):
        raise ValueError("a mean of nothing has no interval")
    table = np.array([(score, 1.0) for score in scores], dtype=np.float64)
    (sums,) = resampled([table], seed)
    return around(float(mean_of(table.sum(axis=0))), mean_of(sums), len(table))


def paired_interval(before: Sequence[float], after: Sequence[float], seed: int = 0) -> Interval:
    """The mean gain from `before` to `after`, row by row, with its interval. Raises ValueError for unequal lengths."""
    return mean_interval([b - a for a, b in zip(before, after, strict=True)], seed)


def _interval(metric: Metric, table: Table, sums: Table) -> Interval | None:
    value = float(metric.value(table.sum(axis=0)))
    if np.isnan(value):
        return None
    interval = around(value, metric.value(sums), rows_met(table))
    is_mean_share = metric.is_share and not metric.is_lower_better and table.shape[1] == 2
    return _unanimous(interval) if is_mean_share and interval.low == interval.high else interval


def _unanimous(interval: Interval) -> Interval:
    """Widen an interval where all rows scored 1, or all 0: no resample differs, yet few rows prove little.

    Source: Clopper and Pearson, The use of confidence or fiducial limits (1934).
    """
    doubt = 1 - ((1 - LEVEL) / 2) ** (1 / interval.n)
    if interval.value == 1:
        return interval._replace(low=1 - doubt)
    return interval._replace(high=doubt) if interval.value == 0 else interval


def _row_counts(rows: int, seed: int) -> Iterator[Table]:
    """How often each row is drawn, (part of the resamples, rows) at a time."""
    chance = np.random.default_rng(seed)
    remaining = min(RESAMPLES, max(LEAST_RESAMPLES, _MOST_DRAWS // rows))
    at_once = max(1, _DRAWS_AT_ONCE // rows)
    while remaining > 0:
        part = min(remaining, at_once)
        sampled_rows = chance.integers(0, rows, (part, rows))
        sampled_rows += np.arange(part)[:, None] * rows
        yield np.bincount(sampled_rows.ravel(), minlength=part * rows).reshape(part, rows).astype(np.float64)
        remaining -= part
