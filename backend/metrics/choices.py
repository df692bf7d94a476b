"""Read the letter of a multiple choice out of an answer, and compare it with the gold one."""

import re

from backend.metrics.averaged import averaged
from backend.metrics.metric import Answered

_LETTER = "[A-J]"
_LONE = rf"(?<![A-Za-z0-9'])({_LETTER})(?![A-Za-z0-9'])"

_GOLD = re.compile(
    rf"\s*(?:\(?([A-Ja-j])\)?[.):：、。]?|\(({_LETTER})\)\s*\S.*|({_LETTER})(?:[.):]\s+|[、：]\s*)\S.*)\s*", re.DOTALL
)
# The surest first; of one format the last counts, since models weigh the options before they settle.
_FORMATS = tuple(
    re.compile(pattern)
    for pattern in (
        r"""\A[\s(\[*"'“]*([A-Ja-j])[\s)\].:：*"'”。]*\Z""",  # nothing but the letter
        rf"\A\s*\(?({_LETTER})(?:[).:：、]|\s*$)",  # the option as it was written: B. a cat
        rf"\\boxed\s*{{\s*(?:\\text\s*{{)?\s*\(?({_LETTER})\b",
        rf"(?:(?i:answer(?:\s+(?:is|would be|should be))?)|答案(?:应该)?[是为]?)[^\w]{{0,5}}{_LONE}",
        rf"(?:(?i:option|choice)(?:\s+(?i:is))?|[选選項项])[^\w]{{0,5}}{_LONE}",
        rf"[(（\[]({_LETTER})[)）\]]|\*\*({_LETTER})\*\*",
        rf"(?<![A-Za-z0-9'])({_LETTER})[.):：、]",
        rf"(?!\b[AI]\s+[a-z]){_LONE}",  # not the word in "A cat" or "I see"
    )
)


def gold_letter(text: str) -> str | None:
    """Read `B`, `b`, `(B)`, `B.` or an option as it is written out, `B. a cat`; None where a gold answer is no such."""
    found = _GOLD.fullmatch(text)
    return next(letter for letter in found.groups() if letter).upper() if found else None


def given_letter(text: str) -> str | None:
    """Read the letter that an answer settles on: the last in the surest of the ways in which letters stand in it."""
    for pattern in _FORMATS:
        found = list(pattern.finditer(text))
        if found:
            return next(letter for letter in found[-1].groups() if letter).upper()
    return None


def multiple_choice(row: Answered) -> float | None:
    """1 where the answer settles on the gold letter, else 0; None where the gold answer is no letter or option.

    Source: the letter extraction of lmms-eval (`_task_utils/mcq_extract.py`): formats in the order of how sure they
    are, of one format the last. Deviations: a capital that begins a word is no letter ("the answer is Apple", "A cat"),
    what is named as the answer comes before a letter at the end ("B, not C"), and letters go to J.
    """
    if gold_letter(row.gold) is None:
        return None
    accepted = {gold_letter(gold) for gold in row.golds} - {None}
    return float(given_letter(row.given) in accepted)


def is_letter_unread(row: Answered) -> bool:
    """Whether the gold answer is a letter and none is found in the given one."""
    return gold_letter(row.gold) is not None and given_letter(row.given) is None


MULTIPLE_CHOICE = averaged("multiple_choice", multiple_choice, is_letter_unread)
