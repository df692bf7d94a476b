"""One JSON text: decoded with numbers as they were written, and a long list an element at a time.

The elements are read by a small window of our own over the standard decoder, not by ijson (3.6 tried): that refuses
NaN, turns half a character into `?` without a word, names no line, and its C backend ends the process at an integer of
5,000 digits.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from backend.datasets.encodings import Encoding

MAX_DIGITS = 4_000  # Python refuses to turn longer ones into a number
MAX_VALUES = 4_000_000  # of one row: two characters may become sixty bytes of memory
CHUNK_CHARACTERS = 1 << 20
MAX_ELEMENT_CHARACTERS = 64 << 20
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # where one may stand; whole characters are written as two halves
_BLANKS = re.compile(r"[ \t\r\n]*")


class JsonFault(Exception):
    """A text is no JSON that can be used: a code of the problem list, a message, and a line within the text."""

    def __init__(self, code: str, message: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.line = code, message, line


class WrittenFloat(float):
    """A number that knows how it was written: `12.50`, `1e5`, more digits than a float has. Its `str` says so."""

    text: str
    __slots__ = ("text",)

    def __new__(cls, text: str) -> Self:
        """Read it."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


class ParsedJson(NamedTuple):
    """What a JSON text holds, and what was odd about it."""

    value: Any
    duplicate_keys: tuple[str, ...]  # keys that stand twice in one object
    may_hold_half_characters: bool  # a text in it may hold half a character


def parse(text: str, max_values: int = MAX_VALUES) -> ParsedJson:
    """Decode one JSON text.

    Raises:
        JsonFault: with the line where it went wrong.
    """
    refuse_many(text, max_values, 1)
    duplicate_keys: list[str] = []
    try:
        value = decoder(duplicate_keys).decode(text)
    except json.JSONDecodeError as error:
        raise JsonFault("JSON_INVALID", f"{error.msg} at column {error.colno}", error.lineno) from error
    except RecursionError as error:
        raise JsonFault("JSON_TOO_DEEP", "It is nested too deeply", 1) from error
    return ParsedJson(value, tuple(duplicate_keys), bool(_HALF_CHARACTER.search(text)))


def refuse_many(text: str, max_values: int, line: int) -> None:
    """Raise JsonFault where so many values may stand in a text, before anything is built of them."""
    if sum(text.count(mark) for mark in ",[{") > max_values:
        raise JsonFault("LINE_TOO_LONG", f"It holds more than {max_values:,} values", line)


def decoder(duplicate_keys: list[str]) -> json.JSONDecoder:
    """Build a decoder: NaN and infinities become None, the last of doubled keys counts, a huge integer stays text.

    Args:
        duplicate_keys: receives the keys that stand twice in one object.
    """

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            duplicate_keys.extend(key for key, count in counts.items() if count > 1)
        return fields

    return json.JSONDecoder(
        object_pairs_hook=to_dict, parse_constant=_null, parse_float=_finite_float, parse_int=_bounded_int
    )


def with_whole_characters(value: Any) -> tuple[Any, bool]:
    """Replace halves of characters (lone surrogates), which no file can hold; says whether there were any."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), True
        return value, False
    if isinstance(value, dict):
        pairs = [(with_whole_characters(key), with_whole_characters(item)) for key, item in value.items()]
        return {key[0]: item[0] for key, item in pairs}, any(key[1] or item[1] for key, item in pairs)
    if isinstance(value, list):
        items = [with_whole_characters(item) for item in value]
        return [item[0] for item in items], any(item[1] for item in items)
    return value, False


def list_elements(path: Path, encoding: Encoding) -> Iterator[ParsedJson]:
    """Yield the elements of the JSON list that the file holds.

    Raises:
        JsonFault: where the syntax is wrong, or an element is longer than 64 Mi characters; earlier ones were yielded.
    """
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as source:
        window = _TextWindow(iter(lambda: source.read(CHUNK_CHARACTERS), ""))
        window.take("[")
        if window.next() != "]":
            yield window.element()
            while window.next() == ",":
                window.take(",")
                yield window.element()
        window.take("]")
        if window.next():
            raise window.fault("Extra data")


class _TextWindow:
    """The part of a text that is looked at, and where it stands."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._text, self._at = "", 0
        self._line = 1  # of the first character of `_text`
        self._has_more = True

    def next(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def take(self, mark: str) -> None:
        """Step over `mark`. Raises JsonFault where something else stands there."""
        if self.next() != mark:
            raise self.fault(f"Expecting `{mark}`")
        self._at += 1

    def element(self) -> ParsedJson:
        """Decode the value that starts here, reading on until it is whole. Raises JsonFault."""
        self.next()
        self._drop_read_part()
        while True:
            duplicate_keys: list[str] = []
            try:
                value, end = decoder(duplicate_keys).raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) > MAX_ELEMENT_CHARACTERS:
                    raise JsonFault("LINE_TOO_LONG", "A row is longer than 64 Mi characters", self._line) from error
                if not self._read_as_much_again():
                    raise self.fault(error.msg, error.pos) from error
            except RecursionError as error:
                raise JsonFault("JSON_TOO_DEEP", "It is nested too deeply", self._line) from error
            else:
                if end < len(self._text) or not self._read():  # a number at the very end may go on
                    may_hold_half_characters = bool(_HALF_CHARACTER.search(self._text, self._at, end))
                    self._at = end
                    return ParsedJson(value, tuple(duplicate_keys), may_hold_half_characters)

    def fault(self, message: str, position: int = -1) -> JsonFault:
        """Say where in the file something is wrong."""
        place = self._at if position < 0 else position
        column = place - self._text.rfind("\n", 0, place)
        line = self._line + self._text.count("\n", 0, place)
        return JsonFault("JSON_INVALID", f"{message} at column {column}", line)

    def _drop_read_part(self) -> None:
        if self._at > CHUNK_CHARACTERS:
            self._line += self._text.count("\n", 0, self._at)
            self._text, self._at = self._text[self._at :], 0

    def _read(self) -> bool:
        chunk = next(self._chunks, "") if self._has_more else ""
        self._has_more = bool(chunk)
        self._text += chunk
        return self._has_more

    def _read_as_much_again(self) -> bool:
        """Double the window, so that a long element is not decoded once for each chunk. Raises JsonFault."""
        target_length = 2 * len(self._text)
        grew = False
        while len(self._text) < target_length and self._read():
            grew = True
        refuse_many(self._text, MAX_VALUES, self._line)  # more than half of it is one element, decoded next
        return grew


def _null(_: str) -> None:
    return None


def _finite_float(digits: str) -> float | None:
    number = WrittenFloat(digits)
    return number if math.isfinite(number) else None


def _bounded_int(digits: str) -> int | float | str:
    if digits == "-0":
        return WrittenFloat(digits)
    return int(digits) if len(digits) <= MAX_DIGITS else digits
