"""Compare numbers, near enough being right, as ChartQA does."""

import math
import re
from typing import NamedTuple

from backend.metrics.metric import MetricInput, averaged, best, plain

TOLERANCE = 0.05  # of the gold number
ROUNDING = 1e-9  # so that 1.05 is within 5 % of 1, which floats deny
_NUMBER = re.compile(
    r"(?P<sign>[-+−]?)(?P<digits>\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d*)?|\d+\.?\d*|\.\d+)(?P<power>e[-+]?\d+)?"
    r"\s*(?P<percent>[%％]?)"
)


class ParsedNumber(NamedTuple):
    """A number as it is written, and whether a percent sign stands behind it."""

    written: float
    is_percent: bool

    @property
    def share(self) -> float:
        """The number itself, a percentage as its hundredth."""
        return self.written / 100 if self.is_percent else self.written


def number_of(text: str) -> ParsedNumber | None:
    """Read a text that is one finite number and nothing else: `1,234.5`, `-3`, `2e3`, `40 %`."""
    match = _NUMBER.fullmatch(plain(text))
    if match is None:
        return None
    digits = re.sub(r"[^\d.]", "", match["digits"])
    value = float(("-" if match["sign"] in ("-", "−") else "") + digits + (match["power"] or ""))
    return ParsedNumber(value, bool(match["percent"])) if math.isfinite(value) else None


def relaxed_accuracy(gold: str, prediction: str) -> float:
    """1 where two numbers differ by at most 5 % of the gold one, or two other answers are the same, else 0.

    Source: Methani et al., PlotQA (2020), as used by Masry et al., ChartQA (2022), section 5.1. Deviations from the
    form of it in lmms-eval and VLMEvalKit (`relaxed_correctness`):

    * white space around an answer, thousands separators and a full stop at the end are read over;
    * where only one of the two has a percent sign, it may be meant either way: 5, 5 % and 0.05 all answer 5 %;
    * a gold 0 is compared as a number (0.0 is right), not as text;
    * other answers are compared as in `exact_match`, so white space and full stops do not count;
    * `nan` and `inf` are no numbers;
    * a distance of exactly 5 % is right whatever floats make of it.
    """
    gold_number, predicted_number = number_of(gold), number_of(prediction)
    if gold_number is None or predicted_number is None:
        return float(plain(gold) == plain(prediction))
    if gold_number.is_percent == predicted_number.is_percent:
        return float(_is_near(predicted_number.written, gold_number.written))
    return float(
        _is_near(predicted_number.written, gold_number.written) or _is_near(predicted_number.share, gold_number.share)
    )


def is_number_unread(row: MetricInput) -> bool:
    """Whether the gold answer is a number and the given one is none."""
    return number_of(row.gold) is not None and number_of(row.prediction) is None


RELAXED_ACCURACY = averaged(
    "relaxed_accuracy",
    lambda row: best(row, relaxed_accuracy),
    is_number_unread,
    label="Relaxed accuracy",
    description="Numbers within 5 % of the gold one, other answers equal to it",
    suits={"number": 1},
)


def _is_near(predicted: float, gold: float) -> bool:
    return abs(predicted - gold) <= TOLERANCE * abs(gold) * (1 + ROUNDING)
