"""Metrics that are the mean of a score per row, and division where there may be nothing to divide by."""

from collections.abc import Callable, Sequence

import numpy as np

from backend.metrics.metric import Answered, Metric, Table


def averaged(
    name: str,
    score: Callable[[Answered], float | None],
    is_unread: Callable[[Answered], bool] | None = None,
) -> Metric:
    """Make a metric of a row's score from 0 to 1; rows whose score is None are left out of the mean."""

    def statistics(answered: Sequence[Answered]) -> Table:
        found = [score(row) for row in answered]
        pairs = [(0.0, 0.0) if one is None else (one, 1.0) for one in found]
        return np.array(pairs, dtype=np.float64).reshape(len(pairs), 2)

    return Metric(name, statistics, mean_of, is_unread=is_unread)


def mean_of(sums: Table) -> Table:
    """Divide the sum of scores, in the first column, by the number of rows, in the second."""
    return quotient(sums[..., 0], sums[..., 1])


def quotient(above: Table, below: Table) -> Table:
    """Divide element by element; nan where the divisor is 0."""
    divided: Table = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=divided, where=np.asarray(below) > 0)
    return divided


def best(answered: Answered, score: Callable[[str, str], float]) -> float:
    """Give the highest score of the given answer against any accepted one."""
    return max(score(gold, answered.given) for gold in answered.golds)
