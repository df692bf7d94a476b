"""Pays up to 1 for right JSON fields: the share of the gold object's fields that the answer's one object gives right.

Texts are compared apart from case and white space, numbers by value; the fields of an inner object count one by one, a
list counts as one. Words or a code fence around the object are allowed, a second object is not. Does not apply where
the gold answer is no JSON object.
"""

import json
from typing import Any


def reward(
    completions: list[str], answer: list[str], references: list[list[str]] | None = None, **columns: object
) -> list[float | None]:
    """Score each completion against its row's gold answer, or another one that is as good."""
    rows = zip(completions, _golds(answer, references), strict=True)
    return [_best([_pay(_object(given), _object(gold)) for gold in golds]) for given, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _best(paid: list[float | None]) -> float | None:
    """The most that is paid; None where nothing applies."""
    return max((value for value in paid if value is not None), default=None)


def _pay(given: dict[str, Any] | None, gold: dict[str, Any] | None) -> float | None:
    if not gold:
        return None
    right = _fields(gold, given or {})
    return sum(right) / len(right)


def _fields(gold: dict[str, Any], given: Any) -> list[bool]:
    """Whether each field of the gold object, inner ones included, is right."""
    known = given if isinstance(given, dict) else {}
    found: list[bool] = []
    for key, wanted in gold.items():
        if isinstance(wanted, dict) and wanted:
            found += _fields(wanted, known.get(key))
        else:
            found.append(key in known and _is_same(wanted, known[key]))
    return found


def _is_same(gold: Any, given: Any) -> bool:
    if isinstance(gold, list) and isinstance(given, list):
        return len(gold) == len(given) and all(map(_is_same, gold, given))
    if isinstance(gold, dict) and isinstance(given, dict):
        return gold.keys() == given.keys() and all(_is_same(gold[key], given[key]) for key in gold)
    if isinstance(gold, bool) or isinstance(given, bool) or gold is None or given is None:
        return gold is given  # in Python, true would equal 1
    if isinstance(gold, int | float) and isinstance(given, int | float):
        return gold == given
    return isinstance(gold, str) and isinstance(given, str) and _plain(gold) == _plain(given)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _object(text: str) -> dict[str, Any] | None:
    """Read the one JSON object of a text; None where there is none, or more than one."""
    final = _final(text)
    try:
        found = json.loads(final[final.find("{") : final.rfind("}") + 1])
    except (ValueError, RecursionError):  # no JSON, or nested to choke the reader
        return None
    return found if isinstance(found, dict) else None


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
