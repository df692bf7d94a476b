"""Other answers that a row accepts, as people write them: `references`, or `answers` as question-answering sets do."""

from collections import Counter
from typing import Any

from backend.datasets.columns import suggest
from backend.datasets.json_values import JsonFault, parse
from backend.datasets.turns import RowFault, plain_text

REFERENCES, ANSWERS = "references", "answers"
FIELDS = (REFERENCES, ANSWERS)


def accepted_answers(content: dict[str, Any]) -> list[str]:
    """Read every accepted answer of a row in its order, repeated ones too, blank ones not.

    A value is a list of texts or numbers, a list of `{"answer": text}`, or one text; a table holds a list as JSON text.

    Raises:
        RowFault: it is something else.
    """
    found: list[str] = []
    for field in FIELDS:
        value = _listed(content.get(field))
        items = value if isinstance(value, list) else [value]
        found += [_answer(item, f"{field}[{number}]") for number, item in enumerate(items)]
    return [text for text in found if text.strip()]


def completed(content: dict[str, Any]) -> dict[str, Any]:
    """Give a row whose only answers are `answers` the most frequent one, the first of equals, as its `answer`."""
    if not content.get(ANSWERS) or suggest(content).answer:
        return content
    try:
        found = accepted_answers({ANSWERS: content[ANSWERS]})
    except RowFault:
        return content
    return content | {"answer": Counter(found).most_common(1)[0][0]} if found else content


def other_than(gold: str, answers: list[str]) -> tuple[str, ...]:
    """The accepted answers beside the gold one, in their order: several people's same answer stands several times."""
    others = list(answers)
    if gold in others:
        others.remove(gold)
    return tuple(others)


def _answer(item: Any, field: str) -> str:
    if isinstance(item, dict):
        if "answer" not in item:
            raise RowFault("REFERENCES_INVALID", f"`{field}` is an object without an `answer`", field)
        item = item["answer"]
    try:
        return plain_text(item, field)
    except RowFault as fault:
        raise RowFault("REFERENCES_INVALID", fault.message, field) from fault


def _listed(value: Any) -> Any:
    """Read a list of answers that a table holds as JSON text; `[1, 2, 3, 4]` is one answer, a box."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        items = parse(value).value
    except JsonFault:
        return value
    return items if isinstance(items, list) and all(isinstance(item, str | dict) for item in items) else value
