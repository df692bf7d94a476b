"""Pays 1 for the right number: the last number of the answer, at most 5 % away from the last one of the gold answer.

Reads 1,234.5 and 3,5 and 2e3 and 40 %; where only one of the two has a percent sign, it may be meant either way. Where
the answer stands in <answer> tags, only what is inside them counts. Does not apply where the gold answer has no number.
"""

import math
import re

TOLERANCE = 0.05  # of the gold number; a gold 0 must be met exactly
MOST_NUMBERS = 8  # an answer with more of them, and more than the gold answer has, is guessing
NUMBER = re.compile(
    r"(?<![A-Za-z0-9_])(?<!\d\.)(?P<sign>[-+−]?)"  # not the 2 of H2O; not a minus in 10-20
    r"(?:(?P<grouped>[1-9]\d{0,2}(?:[,'\u00a0\u202f]\d{3})+(?!\d)(?:\.\d+)?)|(?P<plain>\d+(?:[.,]\d+)?|(?<!\.)\.\d+))"
    r"(?:[eE](?P<power>[-+]?\d{1,3})(?!\w))?\s?(?P<percent>[%％]?)"
)


def reward(
    completions: list[str], answer: list[str], references: list[list[str]] | None = None, **columns: object
) -> list[float | None]:
    """Score each completion against its row's gold answer, or another one that is as good."""
    rows = zip(completions, _golds(answer, references), strict=True)
    return [_best([_score(_numbers(completion), _numbers(gold)) for gold in golds]) for completion, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _best(scores: list[float | None]) -> float | None:
    """The most that is paid; None where nothing applies."""
    return max((score for score in scores if score is not None), default=None)


def _score(predicted: list[tuple[float, bool]], gold: list[tuple[float, bool]]) -> float | None:
    if not gold or not math.isfinite(gold[-1][0]):
        return None
    if not predicted or len(predicted) > max(MOST_NUMBERS, len(gold)):
        return 0.0
    (number, is_percent), (gold_number, is_gold_percent) = predicted[-1], gold[-1]
    if is_percent == is_gold_percent:
        return float(_is_near(number, gold_number))
    shares = number / 100 if is_percent else number, gold_number / 100 if is_gold_percent else gold_number
    return float(_is_near(number, gold_number) or _is_near(*shares))


def _is_near(number: float, gold_number: float) -> bool:
    return math.isfinite(number) and abs(number - gold_number) <= TOLERANCE * abs(gold_number) * (1 + 1e-9)


def _numbers(text: str) -> list[tuple[float, bool]]:
    """Every number of a text, and whether a percent sign stands behind it."""
    numbers = []
    for match in NUMBER.finditer(_final(text)):
        grouped, plain = match["grouped"], match["plain"]
        digits = re.sub(r"[^\d.]", "", grouped) if grouped else plain.replace(",", ".")
        sign = "-" if match["sign"] in ("-", "−") else ""
        numbers.append((float(sign + digits + "e" + (match["power"] or "0")), bool(match["percent"])))
    return numbers


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
