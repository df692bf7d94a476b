"""Generated answers on which our metrics are compared with reference implementations; the same at every call."""

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

CASES = 1_000

WORDS = (
    "a", "the", "red", "blue", "cup", "cat", "dog", "table", "on", "two", "three", "man's", "isn't", "dont", "no",
    "stands", "runs", "small", "old", "near", "big", "tea",
)  # fmt: skip
WIDE = "图中有一只黑色的狗在桌子上"
MARKS = (".", ",", "!", "?", "-", "/", "'", " ,", "%")


class Case(NamedTuple):
    """Accepted answers and a given one."""

    golds: list[str]
    given: str


def cases_of(table: str) -> list[Case]:
    """Make the cases of one table."""
    chance = random.Random(table)
    return [MAKERS[table](chance) for _ in range(CASES)]


def _vqa(chance: random.Random) -> Case:
    pool = [_noisy(chance, _phrase(chance, 1, 2)) for _ in range(3)]
    golds = [chance.choice(pool) for _ in range(chance.choice((1, 3, 4, 5, 10, 10)))]
    return Case(golds, _noisy(chance, chance.choice([*pool, _phrase(chance, 1, 2)])))


def _misread(chance: random.Random) -> Case:
    golds = [_phrase(chance, 1, 4) for _ in range(chance.randint(1, 3))]
    return Case(golds, _typed(chance, chance.choice(golds), most=5))


def _number(chance: random.Random) -> Case:
    value = chance.choice((0, 1, 2, 5, 20, 100, 1234, 98765)) * chance.choice((1, 1, -1, 0.01))
    off = chance.choice((0, 0, 0.03, -0.03, 0.05, -0.05, 0.0501, 0.2))
    return Case([_written(chance, value)], _written(chance, value * (1 + off)))


def _written(chance: random.Random, value: float) -> str:
    form = chance.choice(("{:g}", "{:g}", "{:.2f}", "{:,.0f}", "{:g}%", " {:g}", "{:g}.", "about {:g}", "Cup", "cup "))
    return form.format(value)


def _boxes(chance: random.Random) -> Case:
    def box() -> list[int]:
        left, top = chance.randint(0, 60), chance.randint(0, 60)
        return [left, top, left + chance.randint(1, 60), top + chance.randint(1, 60)]

    return Case([str(box())], str(box()))


def _yes_no(chance: random.Random) -> Case:
    return Case([chance.choice(("yes", "no", "no"))], chance.choice(("yes", "no")))


def _transcript(chance: random.Random) -> Case:
    gold = _phrase(chance, 1, 7)
    if chance.random() < 0.1:
        gold += " " + _wide(chance)
    if chance.random() < 0.1:
        gold = gold.replace(" ", "  ", 1)
    return Case([gold], _typed(chance, gold, most=6))


def _sentence(chance: random.Random) -> Case:
    is_wide = chance.random() < 0.15
    golds = [_wide(chance) if is_wide else _phrase(chance, 2, 9) for _ in range(chance.choice((1, 1, 2)))]
    given = chance.choice(golds)
    return Case([gold + chance.choice(("", ".")) for gold in golds], _shuffled(chance, given, "" if is_wide else " "))


def _caption(chance: random.Random) -> Case:
    golds = [_phrase(chance, 3, 6) for _ in range(2)]
    return Case(golds, _shuffled(chance, chance.choice(golds), " "))


MAKERS: Mapping[str, Callable[[random.Random], Case]] = {
    "vqa_accuracy": _vqa,
    "anls": _misread,
    "anls_package": _misread,
    "relaxed_accuracy": _number,
    "box_iou": _boxes,
    "yes_no_f1": _yes_no,
    "cer": _transcript,
    "wer": _transcript,
    "bleu": _sentence,
    "rouge_l": _sentence,
    "cider": _caption,
}


def _phrase(chance: random.Random, least: int, most: int) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(least, most)))


def _wide(chance: random.Random) -> str:
    return "".join(chance.choices(WIDE, k=chance.randint(3, 9)))


def _noisy(chance: random.Random, text: str) -> str:
    if chance.random() < 0.3:
        at = chance.randint(0, len(text))
        text = text[:at] + chance.choice(MARKS) + text[at:]
    return chance.choice((str, str, str.capitalize, str.upper))(text)


def _typed(chance: random.Random, text: str, most: int) -> str:
    letters = list(text)
    for _ in range(chance.randint(0, most)):
        at = chance.randint(0, len(letters))
        letters[at : at + chance.randint(0, 2)] = chance.choice(("", "x", "A", "e"))
    return "".join(letters)


def _shuffled(chance: random.Random, text: str, between: str) -> str:
    parts = text.split(between) if between else list(text)
    for _ in range(chance.randint(0, 3)):
        at = chance.randint(0, len(parts))
        parts[at : at + chance.randint(0, 2)] = chance.choices((*WORDS, "cup,", "Dog") if between else WIDE)
    return between.join(parts)
