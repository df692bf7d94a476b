"""Pays 1 for the right letter of a multiple choice: the one letter that the answer settles on.

Reads B, (b), B. a cat and "A is too small, so the answer is B". Several letters, none of them named as the
answer, earn nothing, nor does a letter said over and over. Does not apply where the gold answer has no single letter.
"""

import re

LETTERS = "A-H"  # I would also be a word
MOST_MENTIONS = 3  # of the chosen letter
MOST_REPEATS = 10  # an answer that is one piece so many times over is no answer
LONE = re.compile("(?<![A-Za-z0-9'])([" + LETTERS + "])(?![A-Za-z0-9'])")
NAMED = re.compile(
    r"(?:(?i:answer|option|choice)(?:\s+(?i:is|would be))?|答案(?:应该)?[是为]?|[选選])[^\w]{0,5}" + LONE.pattern
)


def reward(
    completions: list[str], answer: list[str], references: list[list[str]] | None = None, **columns: object
) -> list[float | None]:
    """Score each completion against its row's gold answer, or another one that is as good."""
    rows = zip(completions, _golds(answer, references), strict=True)
    return [_best([_score(_letter(completion), _letter(gold)) for gold in golds]) for completion, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _best(scores: list[float | None]) -> float | None:
    """The most that is paid; None where nothing applies."""
    return max((score for score in scores if score is not None), default=None)


def _score(predicted: str, gold: str) -> float | None:
    return float(predicted == gold) if gold else None


def _letter(text: str) -> str:
    """The letter that a text settles on; "" where there is none."""
    final = _final(text)
    alone = final.strip(" \n\t().:*\"'").upper()
    if LONE.fullmatch(alone):
        return alone
    named_letters = NAMED.findall(final)
    letters = named_letters or LONE.findall(final)
    is_settled = len(set(letters)) == 1 and len(letters) <= MOST_MENTIONS
    return letters[0] if is_settled and _repeats(final) < MOST_REPEATS else ""


def _repeats(text: str) -> int:
    """How many times over a text is one and the same piece; its letters and digits count."""
    letters = "".join(filter(str.isalnum, text))
    return len(letters) // (letters + letters).find(letters, 1) if letters else 0


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
