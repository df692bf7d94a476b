"""Compare the fields of JSON objects, as key information extraction does."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Never

import numpy as np

from backend.metrics.metric import Metric, MetricInput, Table, quotient

Field = tuple[tuple[str, ...], str, object]  # where it stands, its type, its value


def object_of(text: str) -> dict[str, Any] | None:
    """Read the one JSON object of a text, with words or a code fence around it; None where there is none, or two."""
    try:
        content = json.loads(text[text.find("{") : text.rfind("}") + 1], parse_constant=no_number)
    except (ValueError, RecursionError):  # no JSON, or nested to choke the reader
        return None
    return content if isinstance(content, dict) else None


def gold_object(text: str) -> dict[str, Any] | None:
    """Read a gold answer that is one JSON object with at least one field, and nothing else."""
    is_whole = text.strip()[:1] == "{" and text.strip()[-1:] == "}"
    return (object_of(text) or None) if is_whole else None


def fields_of(content: dict[str, Any]) -> Counter[Field]:
    """Count the fields, inner ones by the path of their keys; the places in a list are not told apart."""
    return Counter(_fields(content)) if content else Counter()


def is_object_unread(row: MetricInput) -> bool:
    """Whether the gold answer is a JSON object and none is found in the given one."""
    return gold_object(row.gold) is not None and object_of(row.prediction) is None


def _matches(inputs: Sequence[MetricInput]) -> Table:
    """Fields that agree, fields given too much, fields missing."""
    table = np.zeros((len(inputs), 3))
    for row, line in zip(inputs, table, strict=True):
        if gold_object(row.gold) is not None:
            predicted = fields_of(object_of(row.prediction) or {})
            golds = [gold for gold in map(gold_object, row.golds) if gold is not None]
            line[:] = max((_compared(fields_of(gold), predicted) for gold in golds), key=lambda counts: _f1_of(*counts))
    return table


def _compared(gold: Counter[Field], predicted: Counter[Field]) -> tuple[int, int, int]:
    agreed = (gold & predicted).total()
    return agreed, predicted.total() - agreed, gold.total() - agreed


def _f1_of(agreed: int, extra: int, missing: int) -> float:
    return 2 * agreed / (2 * agreed + extra + missing)


def _f1(sums: Table) -> Table:
    agreed, extra, missing = sums[..., 0], sums[..., 1], sums[..., 2]
    return quotient(2 * agreed, 2 * agreed + extra + missing)


# F1 over all fields of all rows: 2 * agreeing / (gold fields + given fields). Texts are compared apart from case and
# white space, numbers by value; a text is never a number. Applies where the gold answer is a JSON object. Source:
# `cal_f1` of Donut (Kim et al., OCR-free Document Understanding Transformer, 2022), whose values are texts with case.
JSON_FIELD_F1 = Metric(
    "json_field_f1",
    _matches,
    _f1,
    is_unread=is_object_unread,
    label="JSON fields (F1)",
    description="Fields of the gold object that are given right, against missed and extra",
    suits={"object": 0},
)


def no_number(constant: str) -> Never:
    """Refuse NaN and Infinity, which Python reads in JSON though they are none."""
    raise ValueError(f"`{constant}` is no JSON")


def _fields(content: dict[str, Any]) -> Iterator[Field]:
    waiting: list[tuple[tuple[str, ...], Any]] = [((), content)]  # no recursion: an answer may nest deeply
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += (((*path, key), inner) for key, inner in value.items())
        elif isinstance(value, list) and value:
            waiting += ((path, inner) for inner in value)
        else:
            yield (path, *_leaf(value))


def _leaf(value: Any) -> tuple[str, object]:
    if isinstance(value, str):
        return "text", " ".join(value.casefold().split())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number", value
    return type(value).__name__, value if isinstance(value, bool) else None  # an empty object or list is one, too
