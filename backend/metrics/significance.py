"""Whether two models differ on the same rows, or chance alone could have made the difference."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from backend.metrics.bootstrap import Interval, around, resampled, rows_met
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
    return all_compared([(metric, first, second)], seed)[0]


def all_compared(measured: Sequence[tuple[Metric, Table, Table]], seed: int = 0) -> list[Comparison | None]:
    """Compare by several metrics over the same rows, each as by `compared`, with the draws made only once.

    Raises:
        ValueError: tables of unequal shape.
    """
    tables = [table for _, *both in measured for table in both]
    if any(first.shape != second.shape for _, first, second in measured) or len({len(table) for table in tables}) > 1:
        raise ValueError("both tables must hold the same rows")
    sums = resampled(tables, seed)
    ps = _p_values(measured, seed)
    return [
        _comparison(one, before, after, p)
        for one, before, after, p in zip(measured, sums[::2], sums[1::2], ps, strict=True)
    ]


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


def describe_comparison(
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
    text = format(value * 100, f"{sign}.1f") if is_share else format(value, f"{sign}.2f")
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def _tries(p: float) -> str:
    return "fewer than 1 of 1,000 tries" if p < 0.001 else f"about 1 of {max(1, round(1 / p)):,} tries"


def _comparison(one: tuple[Metric, Table, Table], before: Table, after: Table, p: float) -> Comparison | None:
    metric, first, second = one
    gain = float(metric.value(second.sum(axis=0)) - metric.value(first.sum(axis=0)))
    if np.isnan(gain):
        return None
    return Comparison(around(gain, metric.value(after) - metric.value(before), rows_met(first, second)), p)


def _p_values(measured: Sequence[tuple[Metric, Table, Table]], seed: int) -> list[float]:
    """Try all swaps for metrics with few rows that differ, and for the others the same random swaps."""
    as_great = np.zeros(len(measured))
    differing = [(first != second).any(axis=1) for _, first, second in measured]
    many = [place for place, rows in enumerate(differing) if rows.sum() > EXACT_ROWS]
    if many:
        steps = [measured[place][2] - measured[place][1] for place in many]
        ends = np.cumsum([step.shape[1] for step in steps])
        for swaps in _random_swaps(len(steps[0]), seed):
            moved = np.split(swaps @ np.concatenate(steps, axis=1), ends[:-1], axis=1)
            as_great[many] += [_as_great(*measured[place], part) for place, part in zip(many, moved, strict=True)]
    ps = (1 + as_great) / (1 + DRAWS)
    for place in set(range(len(measured))) - set(many):
        metric, first, second = measured[place]
        swaps = _all_swaps(int(differing[place].sum()))
        moved_all = swaps @ (second - first)[differing[place]]
        ps[place] = _as_great(metric, first, second, moved_all) / len(swaps)
    return [float(p) for p in ps]


def _as_great(metric: Metric, first: Table, second: Table, moved: Table) -> int:
    """Count the swaps, given by the sums that they move, whose difference is as great as the one seen."""
    start, end = first.sum(axis=0), second.sum(axis=0)
    observed = abs(float(metric.value(end) - metric.value(start)))
    swapped = np.abs(metric.value(end - moved) - metric.value(start + moved))
    return int((~(swapped < observed - _ROUNDING * max(1.0, observed))).sum())  # what is not defined speaks for chance


def _all_swaps(rows: int) -> Table:
    """Every choice of rows to swap, (2^rows, rows)."""
    return ((np.arange(2**rows)[:, None] >> np.arange(rows)) & 1).astype(np.float64)


def _random_swaps(rows: int, seed: int) -> Iterator[Table]:
    """Which rows are swapped, (part of the tries, rows) at a time."""
    chance = np.random.default_rng(seed)
    remaining = DRAWS
    while remaining > 0:
        part = min(remaining, max(1, _SWAPS_AT_ONCE // rows))
        yield chance.integers(0, 2, (part, rows), dtype=np.int8).astype(np.float64)
        remaining -= part
