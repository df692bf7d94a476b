"""What a reward returned and logged, read as plain numbers and texts. Nothing of a foreign object is kept or believed.

Loaded by `worker` in the child, so nothing but the standard library is imported. A foreign object may do anything when
it is asked for its number, its text or its class' name, `sys.exit` among it.
"""

import itertools
import math
import numbers
import sys
from collections.abc import Iterable
from typing import Any

MAX_TEXT = 8 * 1024  # characters of a traceback, a message or a logged text
MAX_VALUE = 1e30  # of a value: TRL keeps them as float32, where more is infinite once weights are applied
MAX_LOGGED = 1e300  # beyond it, and where it is NaN, a logged number is kept as text


class WrongReturnError(Exception):
    """What `reward` returned cannot be read as B values, or one entry is no number."""


class BatchLog:
    """What one batch logs by `log_metric` and `log_extra`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._metrics: dict[str, list[float]] = {}
        self.columns: dict[str, list[Any]] = {}

    @property
    def metrics(self) -> dict[str, float]:
        """The mean of each."""
        return {name: math.fsum(values) / len(values) for name, values in self._metrics.items()}

    def log_metric(self, name: str, value: Any) -> None:
        """Note a number. What is none is said among the prints and left out."""
        try:
            parsed = number(value)
        except WrongReturnError as error:
            print(f"log_metric({name!r}): {error}; left out", file=sys.stderr)  # noqa: T201 - a print of the person's
        else:
            self._metrics.setdefault(exact(name), []).append(parsed)

    def log_extra(self, column: str, values: Iterable[Any]) -> None:
        """Note a value for each answer."""
        listed = [_plain(value) for value in values]
        if len(listed) == self._size:
            self.columns[exact(column)] = listed
        else:
            message = f"log_extra({column!r}): {len(listed)} values for {self._size} answers; left out"
            print(message, file=sys.stderr)  # noqa: T201 - a print of the person's


def entries_of(returned: Any, size: int) -> list[Any]:
    """Read B entries. Raises WrongReturnError, or whatever the returned object raises."""
    if isinstance(returned, str | bytes | dict | set | frozenset) or not hasattr(returned, "__iter__"):
        raise WrongReturnError(f"`reward` returned {kind(returned)}, not a list of {size} numbers")
    entries = list(itertools.islice(returned, size + 1))  # a generator may never end
    if len(entries) != size:
        count = f"more than {size}" if len(entries) > size else str(len(entries))
        raise WrongReturnError(f"`reward` returned {count} values for {size} answers")
    return entries


def read(entry: Any) -> tuple[float | None, dict[str, float | None], str]:
    """Read one entry: its value, its parts, and why it is invalid."""
    try:
        if not isinstance(entry, dict):
            return (None if entry is None else number(entry)), {}, ""
        if "overall" not in entry:
            return None, {}, 'dict without "overall"'
        parts = {exact(name): None if part is None else number(part) for name, part in entry.items()}
        return parts.pop("overall"), parts, ""
    except BaseException as error:  # noqa: BLE001 - a foreign object may raise anything when it is asked for its number
        reason = text_of(error)
        if not isinstance(error, WrongReturnError):
            reason = f"{kind(entry)} is no number: {reason or kind(error)}"
        return None, {}, reason[:MAX_TEXT]


def number(value: Any) -> float:
    """Read a finite number. Raises WrongReturnError, with the reason, or whatever the value raises."""
    if not isinstance(value, bool | numbers.Real) and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        raise WrongReturnError(f"{value} is no number; write {float(value)}")
    if not isinstance(value, numbers.Real):
        raise WrongReturnError(f"{kind(value)} is no number")
    try:
        parsed = float(value)
    except OverflowError as error:
        raise WrongReturnError("the number is too large") from error
    if not math.isfinite(parsed):
        raise WrongReturnError(f"{parsed} is no number")
    if abs(parsed) > MAX_VALUE:
        raise WrongReturnError("the number is too large")
    return parsed


def kind(value: Any) -> str:
    """Name a value's class as it was declared, whatever the class says of itself."""
    return "None" if value is None else type.__dict__["__name__"].__get__(type(value))


def exact(text: Any) -> str:
    """Read a text as `str` itself: a class derived from it may hash and compare as it likes."""
    return str.__str__(str(text))


def text_of(error: BaseException) -> str:
    """Give an error's text; empty where none can be made."""
    try:
        return exact(error)
    except BaseException:  # noqa: BLE001 - foreign as well
        return ""


def _plain(value: Any) -> Any:
    """Make a logged value JSON can hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        value = int.__int__(value) if isinstance(value, int) else float.__float__(value)
        if abs(value) <= MAX_LOGGED:
            return value
    return exact(value)[:MAX_TEXT]
