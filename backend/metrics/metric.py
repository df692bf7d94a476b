"""What a metric is: a score a row, how scores become one number, and the text it compares."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Ideographs and kana, which stand side by side without spaces; Hangul has spaces.
_WIDE = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_ASCII_WORD = re.compile("[a-z0-9]+")
Table = NDArray[np.float64]
GoldKind = Literal["boxes", "object", "letter", "yes_no", "number", "transcript", "text", "short"]


def plain(text: str) -> str:
    """Drop case, the kind and amount of white space, and full stops at the end."""
    return " ".join(text.casefold().split()).rstrip(".。")


def has_wide(text: str) -> bool:
    """Whether a text holds ideographs or kana."""
    return _WIDE.search(text) is not None


def split_wide(text: str) -> list[str]:
    """Split at white space, and every ideograph and kana from its neighbours. Case and punctuation stay."""
    return _WIDE.sub(r" \1 ", text).split()


def words_of(text: str) -> list[str]:
    """Give the words without case and punctuation; an ideograph or kana is a word of its own.

    On ASCII text these are the tokens of rouge-score without its stemmer. Elsewhere letters, digits and their marks are
    kept, in the compatible form of Unicode (NFKC), where rouge-score drops them.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = (character if unicodedata.category(character)[0] in "LMN" else " " for character in folded)
    return split_wide("".join(letters))


class MetricInput(NamedTuple):
    """One row with the answer that was given to it."""

    gold: str
    prediction: str
    references: tuple[str, ...] = ()  # other answers that are as good as the gold one

    @property
    def golds(self) -> tuple[str, ...]:
        """Every accepted answer, the gold one first."""
        return (self.gold, *self.references)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric over any number of rows."""

    name: str
    statistics: Callable[[Sequence[MetricInput]], Table]  # n rows -> (n, k); all zeros where the metric does not apply
    value: Callable[[Table], Table]  # sums (..., k) -> (...); nan where nothing was summed
    row_value: Callable[[Table], Table] | None = None  # of one row's statistics, where `value` says little of one row
    # whether the gold answer is a box, number, ... and the prediction is none
    is_unread: Callable[[MetricInput], bool] | None = None
    is_share: bool = True  # from 0 to 1, shown in per cent; an error rate may pass 1
    is_lower_better: bool = False
    is_row_local: bool = True  # a row adds the same whatever the other rows are
    label: str = ""  # in English; pages translate `measure.<name>`
    description: str = ""  # in English; pages translate `measure.<name>.says`
    suits: Mapping[GoldKind, int] = field(
        default_factory=dict, hash=False
    )  # kinds of gold answers, and its rank among theirs
    needs_references: bool = False  # proposed only where rows have further accepted answers
    least_rows: int = 0  # proposed only for so many rows
    # takes the rows and the accepted answers of each on average; says where the number then means little
    notice: Callable[[int, float], str | None] = lambda _rows, _answers_per_row: None

    def rows(self, inputs: Sequence[MetricInput]) -> list[float | None]:
        """Each row's own score; None where the metric does not apply to it."""
        scores = (self.row_value or self.value)(self.statistics(inputs))
        return [None if np.isnan(score) else float(score) for score in scores]

    def of(self, inputs: Sequence[MetricInput]) -> float | None:
        """The metric over all rows; None where it applies to none."""
        score = float(self.value(self.statistics(inputs).sum(axis=0)))
        return None if np.isnan(score) else score


def averaged(
    name: str,
    score: Callable[[MetricInput], float | None],
    is_unread: Callable[[MetricInput], bool] | None = None,
    **facts: Any,
) -> Metric:
    """Make a metric of a row's score from 0 to 1; rows whose score is None are left out of the mean.

    `facts` are further fields of the metric.
    """

    def statistics(inputs: Sequence[MetricInput]) -> Table:
        scores = [score(row) for row in inputs]
        pairs = [(0.0, 0.0) if one is None else (one, 1.0) for one in scores]
        return np.array(pairs, dtype=np.float64).reshape(len(pairs), 2)

    return Metric(name, statistics, mean_of, is_unread=is_unread, **facts)


def mean_of(sums: Table) -> Table:
    """Divide the sum of scores, in the first column, by the number of rows, in the second."""
    return quotient(sums[..., 0], sums[..., 1])


def quotient(above: Table, below: Table) -> Table:
    """Divide element by element; nan where the divisor is 0."""
    divided: Table = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=divided, where=np.asarray(below) > 0)
    return divided


def best(inputs: MetricInput, score: Callable[[str, str], float]) -> float:
    """Give the highest score of the given answer against any accepted one."""
    return max(score(gold, inputs.prediction) for gold in inputs.golds)
