"""Decode JSON as people write it: numbers that are none, doubled keys and halves of characters are no crash."""

import json
import math
import re
from collections import Counter
from typing import Any, NamedTuple

MAX_DIGITS = 4_000  # Python refuses to turn longer ones into a number
MAX_VALUES = 4_000_000  # of one row: two characters may become sixty bytes of memory
HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # where one may stand; whole characters are written as two halves


class JsonFault(Exception):
    """A text is no JSON that can be used: a code of the problem list, a message, and a line within the text."""

    def __init__(self, code: str, message: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.line = code, message, line


class Parsed(NamedTuple):
    """What a JSON text holds, and what was odd about it."""

    value: Any
    doubled: tuple[str, ...]  # keys that stand twice in one object
    may_be_broken: bool  # a text in it may hold half a character


def parse(text: str, most_values: int = MAX_VALUES) -> Parsed:
    """Decode one JSON text.

    Raises:
        JsonFault: with the line where it went wrong.
    """
    refuse_many(text, most_values, 1)
    doubled: list[str] = []
    try:
        value = decoder(doubled).decode(text)
    except json.JSONDecodeError as error:
        raise JsonFault("JSON_INVALID", f"{error.msg} at column {error.colno}", error.lineno) from error
    except RecursionError as error:
        raise JsonFault("JSON_TOO_DEEP", "It is nested too deeply", 1) from error
    return Parsed(value, tuple(doubled), bool(HALF_CHARACTER.search(text)))


def refuse_many(text: str, most_values: int, line: int) -> None:
    """Raise JsonFault where so many values may stand in a text, before anything is built of them."""
    if sum(text.count(mark) for mark in ",[{") > most_values:
        raise JsonFault("LINE_TOO_LONG", f"It holds more than {most_values:,} values", line)


def decoder(doubled: list[str]) -> json.JSONDecoder:
    """Build a decoder: NaN and infinities become None, the last of doubled keys counts, a huge integer stays text.

    Args:
        doubled: receives the keys that stand twice in one object.
    """

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            doubled.extend(key for key, count in counts.items() if count > 1)
        return found

    return json.JSONDecoder(object_pairs_hook=to_dict, parse_constant=_nothing, parse_float=_finite, parse_int=_integer)


def repaired(value: Any) -> tuple[Any, bool]:
    """Replace halves of characters (lone surrogates), which no file can hold; says whether there were any."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), True
        return value, False
    if isinstance(value, dict):
        pairs = [(repaired(key), repaired(item)) for key, item in value.items()]
        return {key[0]: item[0] for key, item in pairs}, any(key[1] or item[1] for key, item in pairs)
    if isinstance(value, list):
        items = [repaired(item) for item in value]
        return [item[0] for item in items], any(item[1] for item in items)
    return value, False


def _nothing(_: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits
