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
    return [_best([_score(_object(completion), _object(gold)) for gold in golds]) for completion, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _best(scores: list[float | None]) -> float | None:
    """The most that is paid; None where nothing applies."""
    return max((score for score in scores if score is not None), default=None)


def _score(predicted: dict[str, Any] | None, gold: dict[str, Any] | None) -> float | None:
    if not gold:
        return None
    right = _fields(gold, predicted or {})
    return sum(right) / len(right)


def _fields(gold: dict[str, Any], predicted: Any) -> list[bool]:
    """Whether each field of the gold object, inner ones included, is right."""
    fields = predicted if isinstance(predicted, dict) else {}
    are_right: list[bool] = []
    for key, gold_value in gold.items():
        if isinstance(gold_value, dict) and gold_value:
            are_right += _fields(gold_value, fields.get(key))
        else:
            are_right.append(key in fields and _is_same(gold_value, fields[key]))
    return are_right


def _is_same(gold: Any, predicted: Any) -> bool:
    if isinstance(gold, list) and isinstance(predicted, list):
        return len(gold) == len(predicted) and all(map(_is_same, gold, predicted))
    if isinstance(gold, dict) and isinstance(predicted, dict):
        return gold.keys() == predicted.keys() and all(_is_same(gold[key], predicted[key]) for key in gold)
    if isinstance(gold, bool) or isinstance(predicted, bool) or gold is None or predicted is None:
        return gold is predicted  # in Python, true would equal 1
    if isinstance(gold, int | float) and isinstance(predicted, int | float):
        return gold == predicted
    return isinstance(gold, str) and isinstance(predicted, str) and _normalized(gold) == _normalized(predicted)


def _normalized(text: str) -> str:
    return " ".join(text.casefold().split())


def _object(text: str) -> dict[str, Any] | None:
    """Read the one JSON object of a text; None where there is none, or more than one."""
    final = _final(text)
    try:
        parsed = json.loads(final[final.find("{") : final.rfind("}") + 1])
    except (ValueError, RecursionError):  # no JSON, or nested to choke the reader
        return None
    return parsed if isinstance(parsed, dict) else None


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
