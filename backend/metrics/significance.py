"""Whether two models differ on the same rows, or chance alone could have made the difference."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from backend.metrics.intervals import Interval, around, resampled, rows_met
from backend.metrics.metric import Metric, Table

DRAWS = 10_000
LEVEL = 0.05
EXACT_ROWS = 13  # up to so many rows that differ, all 2^13 swaps are tried

_ROUNDING = 1e-9
_SWAPS_AT_ONCE = 1_000_000

Verdict = Literal["better", "worse", "undecided"]


class Comparison(NamedTuple):
    """Second minus first over the same rows, and how often chance alone makes so great a difference."""

    difference: Interval
    p: float


def compared(metric: Metric, first: Table, second: Table, seed: int = 0) -> Comparison | None:
    """Compare two models by their statistics of the same rows; None where the metric applies to none of them.

    The interval is a paired bootstrap of the rows. The p-value is of a paired randomisation test, two-sided: if the
    models were alike, each row's two answers could as well be swapped. 10,000 random swaps are tried and
    p = (1 + as great differences) / (1 + swaps); all swaps where 13 rows or fewer differ.

    Raises:
        ValueError: tables of unequal shape.

    Source: Noreen, Computer-Intensive Methods for Testing Hypotheses (1989); Yeh, More accurate tests for the
    statistical significance of result differences (2000).
    """
    if first.shape != second.shape:
        raise ValueError("both tables must hold the same rows")
    gain = float(metric.value(second.sum(axis=0)) - metric.value(first.sum(axis=0)))
    if np.isnan(gain):
        return None
    before, after = resampled([first, second], seed)
    difference = around(gain, metric.value(after) - metric.value(before), rows_met(first, second))
    return Comparison(difference, _p_value(metric, first, second, seed))


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust p-values for being several, in their order. Source: Holm, A simple sequentially rejective test (1979)."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def verdict_of(comparison: Comparison, *, is_lower_better: bool, adjusted_p: float) -> Verdict:
    """Call the second model better or worse only where the adjusted p is below 0.05 and the interval leaves out 0."""
    low, high = comparison.difference.low, comparison.difference.high
    if adjusted_p >= LEVEL or low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) is not is_lower_better else "worse"


def said(
    comparison: Comparison,
    verdict: Verdict,
    adjusted_p: float,
    *,
    second: str = "B",
    is_share: bool = True,
) -> str:
    """Put a comparison into one sentence for who has never met a p-value.

    Args:
        comparison: of `second` with the model it is compared with.
        verdict: of `verdict_of`, on `second`.
        adjusted_p: as given to `verdict_of`.
        second: what to call the second model.
        is_share: whether the metric is shown in per cent, so that differences are in points.
    """
    value, low, high, n = comparison.difference
    if verdict == "undecided":
        return _undecided(comparison, adjusted_p, is_share=is_share)
    least, most = sorted((abs(low), abs(high)))
    by = _amount(abs(value), is_share=is_share) + (" points" if is_share else "")
    interval = f"{_amount(least, is_share=is_share)} to {_amount(most, is_share=is_share)}"
    return (
        f"{second} is {verdict} by {by} (95 % interval {interval}, n = {n:,}); "
        f"chance alone gives such a difference in {_tries(adjusted_p)}"
    )


def _undecided(comparison: Comparison, adjusted_p: float, *, is_share: bool) -> str:
    _, low, high, n = comparison.difference
    rows = "1 row cannot" if n == 1 else f"{n:,} rows cannot"
    unit = " points" if is_share else ""
    between = f"{_amount(low, is_share=is_share, sign='+')} and {_amount(high, is_share=is_share, sign='+')}{unit}"
    if low <= 0 <= high:
        return f"{rows} tell them apart: the difference lies between {between}"
    return (
        f"{rows} tell them apart for sure: the difference seems to lie between {between}, "
        f"but chance alone gives such a one in {_tries(adjusted_p)}"
    )


def _amount(value: float, *, is_share: bool, sign: Literal["", "+"] = "") -> str:
    shown = format(value * 100, f"{sign}.1f") if is_share else format(value, f"{sign}.2f")
    return shown.replace("-", "−") if float(shown) else shown.lstrip("+-")


def _tries(p: float) -> str:
    return "fewer than 1 of 1,000 tries" if p < 0.001 else f"about 1 of {max(1, round(1 / p)):,} tries"


def _p_value(metric: Metric, first: Table, second: Table, seed: int) -> float:
    steps = (second - first)[(second != first).any(axis=1)]
    start, end = first.sum(axis=0), second.sum(axis=0)
    seen = abs(float(metric.value(end) - metric.value(start)))
    least = seen - _ROUNDING * max(1.0, seen)
    tried = as_great = 0
    for swaps in _swaps(len(steps), seed):
        moved = swaps @ steps
        found = np.abs(metric.value(end - moved) - metric.value(start + moved))
        tried += len(swaps)
        as_great += int((~(found < least)).sum())  # what is not defined speaks for chance
    return as_great / tried if len(steps) <= EXACT_ROWS else (1 + as_great) / (1 + tried)


def _swaps(rows: int, seed: int) -> Iterator[Table]:
    """Which rows are swapped, (part of the tries, rows) at a time: all ways for few rows, else random ones."""
    if rows <= EXACT_ROWS:
        yield ((np.arange(2**rows)[:, None] >> np.arange(rows)) & 1).astype(np.float64)
        return
    chance = np.random.default_rng(seed)
    left = DRAWS
    while left > 0:
        part = min(left, max(1, _SWAPS_AT_ONCE // rows))
        yield chance.integers(0, 2, (part, rows), dtype=np.int8).astype(np.float64)
        left -= part
