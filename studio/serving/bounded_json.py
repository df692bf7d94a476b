"""JSON from outside, bounded before anything is built of it: a megabyte of `[],` would become a hundred of lists."""

import json
import re
from typing import Any

from backend.errors import StudioError

MOST_TOKENS = 50_000  # strings, numbers' commas and brackets; the largest event of a full page has some 3,000
MOST_DEPTH = 32
# A string without an end counts to the end of the text, so that every character is looked at once.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]|,', re.DOTALL)


class JsonRefused(StudioError):
    """Text that is no JSON, or more of it than anybody needs."""


def read_json(body: bytes) -> Any:
    """Parse UTF-8 JSON.

    Raises:
        JsonRefused: it is none, holds too many or too deeply nested values, a number that is not finite, or a
            character that is none.
    """
    try:
        text = body.decode("utf-8")
        _refuse_large(text)
        value = json.loads(text)
        write_json(value)  # refuses what Python reads beyond JSON: NaN, numbers without end, halves of characters
    except (ValueError, RecursionError) as error:  # of which both decoding errors and too many digits are kinds
        raise JsonRefused("The request is not JSON", hint="Send UTF-8 JSON with finite numbers") from error
    return value


def write_json(value: Any) -> bytes:
    """Serialise it. Raises ValueError for numbers that are not finite and for halves of a character."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")


def _refuse_large(text: str) -> None:
    depth = 0
    for tokens, found in enumerate(_TOKEN.finditer(text)):
        mark = found[0]
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if depth > MOST_DEPTH or tokens > MOST_TOKENS:
            raise JsonRefused(
                f"The request holds more than {MOST_TOKENS:,} values, or more than {MOST_DEPTH} within each other",
                hint="Send less at once",
            )
