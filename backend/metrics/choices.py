"""Read a letter of a multiple choice, or yes or no, out of an answer, and compare it with the gold one."""

import re
from collections.abc import Sequence

import numpy as np

from backend.metrics.metric import Metric, MetricInput, Table, averaged, plain, quotient

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
YES = {"yes", "是", "是的", "有", "对", "對", "对的"}
NO = {"no", "否", "不是", "没有", "沒有", "不", "没", "不对", "不對"}
_ECHO = re.compile(r"(?:是否|是不是|有没有|有沒有|对不对)(?:[^?？\n]*[?？])?")  # of the question
_NO_WORD = r"\b(?:no|nope|not(?! sure| certain| clear))\b|n't\b|不(?!确定|確定|清楚|知道)|[没沒]|否"
_YES_WORD = r"\b(?:yes|yeah|yep)\b|是|有|[对對](?!\w)"
_FIRST = re.compile(rf"\W*(?:(?P<no>{_NO_WORD})|(?P<yes>{_YES_WORD}))")
_SOMETHING = r"\bthere (?:is|are)\b"
_SENTENCE = re.compile(r"[^.!?。！？\n]*")


def gold_letter(text: str) -> str | None:
    """Read `B`, `b`, `(B)`, `B.` or an option as it is written out, `B. a cat`; None where a gold answer is no such."""
    match = _GOLD.fullmatch(text)
    return next(letter for letter in match.groups() if letter).upper() if match else None


def predicted_letter(text: str) -> str | None:
    """Read the letter that an answer settles on: the last in the surest of the ways in which letters stand in it."""
    for pattern in _FORMATS:
        matches = list(pattern.finditer(text))
        if matches:
            return next(letter for letter in matches[-1].groups() if letter).upper()
    return None


def multiple_choice(row: MetricInput) -> float | None:
    """1 where the answer settles on the gold letter, else 0; None where the gold answer is no letter or option.

    Source: the letter extraction of lmms-eval (`_task_utils/mcq_extract.py`): formats in the order of how sure they
    are, of one format the last. Deviations: a capital that begins a word is no letter ("the answer is Apple", "A cat"),
    what is named as the answer comes before a letter at the end ("B, not C"), and letters go to J.
    """
    if gold_letter(row.gold) is None:
        return None
    accepted = {gold_letter(gold) for gold in row.golds} - {None}
    return float(predicted_letter(row.prediction) in accepted)


def is_letter_unread(row: MetricInput) -> bool:
    """Whether the gold answer is a letter and none is found in the given one."""
    return gold_letter(row.gold) is not None and predicted_letter(row.prediction) is None


MULTIPLE_CHOICE = averaged(
    "multiple_choice",
    multiple_choice,
    is_letter_unread,
    label="Multiple choice",
    description="Answers that settle on the gold letter",
    suits={"letter": 0},
)


def gold_yes(text: str) -> bool | None:
    """Read a gold answer that is yes or no and nothing else."""
    word = plain(text).strip(" .,!。，！")
    return True if word in YES else False if word in NO else None


def predicted_yes(text: str) -> bool | None:
    """Read what an answer says: its first word where that is yes or no, else whether its first sentence denies.

    None where neither is found. Source: POPE's evaluation looks for "no" and "not" in the first sentence and takes all
    others for yes; here an answer must say yes, or that there is something.
    """
    words = _ECHO.sub("", text.casefold().replace("’", "'")).strip()
    first = _FIRST.match(words)
    if first:
        return first["yes"] is not None
    sentence = _SENTENCE.match(words)
    start = sentence[0] if sentence else ""
    return False if re.search(_NO_WORD, start) else True if re.search(f"{_YES_WORD}|{_SOMETHING}", start) else None


def yes_no(row: MetricInput) -> float | None:
    """1 where the answer says what the gold answer says, else 0; None where the gold answer is not yes or no.

    Source: the accuracy of POPE, Li et al., Evaluating Object Hallucination (2023), apart from how answers are read.
    """
    gold = gold_yes(row.gold)
    return None if gold is None else float(predicted_yes(row.prediction) is gold)


def is_yes_no_unread(row: MetricInput) -> bool:
    """Whether the gold answer is yes or no and the given one says neither."""
    return gold_yes(row.gold) is not None and predicted_yes(row.prediction) is None


def f1(sums: Table) -> Table:
    """Balance precision and recall of "yes", from true and false yes, false and true no; nan without any yes."""
    true_yes, false_yes, false_no = sums[..., 0], sums[..., 1], sums[..., 2]
    return quotient(2 * true_yes, 2 * true_yes + false_yes + false_no)


def _outcomes(inputs: Sequence[MetricInput]) -> Table:
    """True yes, false yes, false no, true no. An answer that says neither counts as the wrong one."""
    table = np.zeros((len(inputs), 4))
    for row, line in zip(inputs, table, strict=True):
        gold = gold_yes(row.gold)
        if gold is not None:
            is_right = predicted_yes(row.prediction) is gold
            line[(0 if is_right else 2) if gold else (3 if is_right else 1)] = 1
    return table


def _accuracy(sums: Table) -> Table:
    return quotient(sums[..., 0] + sums[..., 3], sums.sum(axis=-1))


YES_NO = averaged(
    "yes_no",
    yes_no,
    is_yes_no_unread,
    label="Yes or no",
    description="Answers that say yes or no as the gold one does",
    suits={"yes_no": 0},
)
# F1 of "yes" over all rows, POPE's headline: 2 * true yes / (2 * true yes + false yes + false no). None where no row
# says yes on either side, where it is not defined. A row alone shows whether it is right.
YES_NO_F1 = Metric(
    "yes_no_f1",
    _outcomes,
    f1,
    row_value=_accuracy,
    is_unread=is_yes_no_unread,
    label="F1 of yes",
    description="Precision and recall of yes in one number; always saying yes does not pay",
    suits={"yes_no": 1},
)
