"""What a metric is: what each row adds, and how sums over rows become one number.

So one bootstrap serves all of them: a mean, a rate over all words, an F1 or a BLEU over a whole corpus are each a
function of sums, and a resample is only other sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


class Answered(NamedTuple):
    """One row with the answer that was given to it."""

    gold: str
    given: str
    references: tuple[str, ...] = ()  # other answers that are as good as the gold one

    @property
    def golds(self) -> tuple[str, ...]:
        """Every accepted answer, the gold one first."""
        return (self.gold, *self.references)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric over any number of rows."""

    name: str
    statistics: Callable[[Sequence[Answered]], Table]  # n rows -> (n, k); all zeros where the metric does not apply
    value: Callable[[Table], Table]  # sums (..., k) -> (...); nan where nothing was summed
    row_value: Callable[[Table], Table] | None = None  # of one row's statistics, where `value` says little of one row
    is_unread: Callable[[Answered], bool] | None = (
        None  # the gold answer is a box, number, ... and the given one is none
    )
    is_share: bool = True  # from 0 to 1, shown in per cent; an error rate may pass 1
    is_lower_better: bool = False
    is_row_local: bool = True  # a row adds the same whatever the other rows are

    def rows(self, answered: Sequence[Answered]) -> list[float | None]:
        """Each row's own score; None where the metric does not apply to it."""
        found = (self.row_value or self.value)(self.statistics(answered))
        return [None if np.isnan(score) else float(score) for score in found]

    def of(self, answered: Sequence[Answered]) -> float | None:
        """The metric over all rows; None where it applies to none."""
        score = float(self.value(self.statistics(answered).sum(axis=0)))
        return None if np.isnan(score) else score
