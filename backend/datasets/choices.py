"""Multiple choice: the choices of a row become part of its question, and an index becomes the choice's letter.

The form is that of ScienceQA in LLaVA's scripts and of MMBench: the question, then a line `A. text` for each choice.
"""

import itertools
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backend.datasets.records import ColumnMapping
from backend.datasets.turns import RowFault, listed, plain_text

CHOICES = (
    "options", "choices", "candidates", "multiple_choices", "option", "mc_choices", "answer_choices", "选项", "選択肢",
)  # fmt: skip
MAX_CHOICES = 26
UNKNOWN_FIRST = -1  # answers are numbers of choices, and the rows do not tell which number the first one has
_ONE_EACH = re.compile(r"(?:option|choice|opt?|选项)[ _-]?([a-h]|\d)|([a-h])", re.IGNORECASE)
_LABELLED = re.compile(r"\s*[(\[]?[A-Za-z0-9][).:\]、．]\s*\S")


class Choice(NamedTuple):
    """One choice: the letter that an answer names it by, and its text."""

    label: str
    text: str


def choice_columns(columns: Iterable[str]) -> tuple[str, ...]:
    """Find the column that lists the choices, or the columns `A`, `B`, ... that hold one each; else ()."""
    names = list(columns)
    by_name = {name.strip().casefold().replace(" ", "_"): name for name in reversed(names)}
    lists = [by_name[name] for name in CHOICES if name in by_name]
    if lists:
        return (lists[0],)
    each = {(match[1] or match[2]).upper(): name for name in names if (match := _ONE_EACH.fullmatch(name.strip()))}
    for marks in (string.ascii_uppercase, string.digits, string.digits[1:]):
        series = [each[mark] for mark in itertools.takewhile(each.__contains__, marks)]
        if len(series) > 1:
            return tuple(series)
    return ()


def choices_of(row: Mapping[str, Any], mapping: ColumnMapping) -> list[Choice]:
    """Read a row's choices in their order. Raises RowFault where they are in no known form."""
    if len(mapping.choices) > 1:
        texts = [plain_text(row.get(name), name) for name in mapping.choices]
        filled = max((place for place, text in enumerate(texts, 1) if text.strip()), default=0)
        return _lettered(texts[:filled])
    field = mapping.choices[0]
    value = listed(row.get(field))
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), list):  # as in ARC: texts and labels in two lists
            labels = value.get("label") or string.ascii_uppercase
            return [
                Choice(str(label), plain_text(text, field)) for label, text in zip(labels, value["text"], strict=False)
            ]
        return [Choice(str(label), plain_text(text, field)) for label, text in value.items() if text is not None]
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        labels = [item.get("label") or item.get("key") or item.get("id") or "" for item in value]
        texts = [plain_text(item.get("text") or item.get("value") or item.get("content"), field) for item in value]
        return [Choice(str(a), b) for a, b in zip(labels, texts, strict=True)] if all(labels) else _lettered(texts)
    if isinstance(value, list):
        return _lettered([plain_text(item, field) for item in value])
    lines = [line for line in plain_text(value, field).splitlines() if line.strip()]
    return _lettered(lines)


def with_choices(question: str, choices: Sequence[Choice]) -> str:
    """The question with its choices under it; as it is where it holds them all already."""
    if not choices or all(choice.text in question for choice in choices):
        return question
    lines = [each.text if _LABELLED.match(each.text) else f"{each.label}. {each.text}" for each in choices]
    return "\n".join([question, *lines] if question else lines)


def first_index(rows: Sequence[Mapping[str, Any]], mapping: ColumnMapping) -> int | None:
    """Tell whether the answers number the choices, and which number the first one has; None where they do not."""
    numbers: list[tuple[int, int]] = []
    for row in rows:
        try:
            choices, answer = choices_of(row, mapping), row.get(mapping.answer)
        except RowFault:
            continue
        if answer is None or answer == "" or not choices:
            continue
        number = _number(answer)
        if number is None or str(answer) in {choice.text for choice in choices} | {choice.label for choice in choices}:
            return None
        numbers.append((number, len(choices)))
    if not numbers:
        return None
    if any(number == 0 for number, _ in numbers):
        return 0
    return 1 if any(number == count for number, count in numbers) else UNKNOWN_FIRST


def chosen_label(answer: Any, choices: Sequence[Choice], first: int | None, field: str) -> Any:
    """The letter of the choice that an answer numbers; the answer as it is where it is no number. Raises RowFault."""
    number = _number(answer)
    if first is None or number is None:
        return answer
    if first == UNKNOWN_FIRST:
        message = f"The answer {number} numbers a choice, and no row tells whether the first is 0 or 1"
        raise RowFault("CHOICE_UNKNOWN", message, field)
    if not 0 <= number - first < len(choices):
        raise RowFault("CHOICE_UNKNOWN", f"The answer {number} is none of {len(choices)} choices", field)
    return choices[number - first].label


def _number(answer: Any) -> int | None:
    if isinstance(answer, bool):
        return None
    text = str(answer).strip()
    return int(text) if re.fullmatch(r"\d{1,3}", text) else None


def _lettered(texts: Sequence[str]) -> list[Choice]:
    if len(texts) > MAX_CHOICES:
        raise RowFault("TEXT_TYPE", f"It has {len(texts)} choices; the limit is {MAX_CHOICES}")
    return [Choice(label, text.strip()) for label, text in zip(string.ascii_uppercase, texts, strict=False)]
