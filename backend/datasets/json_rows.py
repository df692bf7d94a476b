"""Read rows from JSON or JSON lines, whatever the file is called; one bad line harms no other.

A long list is read an element at a time by a small window of our own over the standard decoder, not by ijson (3.6
tried): that refuses NaN, turns half a character into `?` without a word, names no line, and its C backend ends the
process at an integer of 5,000 digits.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from backend.datasets.encodings import Encoding, encoding_of, has_bad_bytes
from backend.datasets.problems import Place, ProblemList, quoted

MAX_DIGITS = 4_000  # Python refuses to turn longer ones into a number
MAX_VALUES = 4_000_000  # of one row: two characters may become sixty bytes of memory
CHUNK_CHARACTERS = 1 << 20
MAX_ELEMENT_CHARACTERS = 64 << 20
MAX_WHOLE_BYTES = 256 << 20  # of a file that is one object, which is parsed at once
MAX_WHOLE_VALUES = 16_000_000  # likewise
MAX_LINE_CHARACTERS = 64 << 20
ID_FIELDS = ("id", "ID", "uid", "question_id", "sample_id")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # where one may stand; whole characters are written as two halves
_BLANKS = re.compile(r"[ \t\r\n]*")
_LINE_SUFFIXES = (".jsonl", ".ndjson")


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


class RawRow(NamedTuple):
    """One row as it was written."""

    place: Place
    content: dict[str, Any]


def json_rows(path: Path, name: str, problems: ProblemList, encoding: Encoding | None = None) -> Iterator[RawRow]:
    """Yield the objects of a JSON list, of a dict's only list, or of JSON lines, each with its place.

    A list whose syntax is wrong anywhere gives no rows at all: it is checked to its end first.

    Args:
        path: the file.
        name: what the person calls it.
        problems: receives whatever could not be read; such rows are left out.
        encoding: where it is known already.
    """
    encoding = encoding or encoding_of(path)
    first_line, has_more = _head(path, encoding)
    if not first_line.strip():
        problems.add("FILE_SKIPPED", Place(name), "It is empty")
        return
    if has_more and _is_object(first_line):
        yield from _lines(path, name, encoding, problems)
        return
    is_list = first_line.lstrip().startswith("[")
    try:
        _refuse_bad_bytes(path, encoding)
        parsed_rows = _checked_list(path, encoding) if is_list else _whole(path, encoding)
    except JsonFault as fault:
        if has_more and _is_meant_as_lines(path, name, encoding, is_list=is_list):
            yield from _lines(path, name, encoding, problems)
        else:
            problems.add(fault.code, Place(name, fault.line, unit="line"), fault.message)
        return
    for number, parsed in enumerate(parsed_rows, start=1):
        row = raw_row(parsed, Place(name, number), problems)
        if row is not None:
            yield row


def jsonl_rows(path: Path, name: str, problems: ProblemList) -> Iterator[RawRow]:
    """Yield the objects of a UTF-8 file that is known to be JSON lines, each with its place."""
    return _lines(path, name, Encoding("utf-8", fits=True), problems)


def raw_row(parsed: ParsedJson, place: Place, problems: ProblemList) -> RawRow | None:
    """Give one parsed value its place as a row; None and a problem where it is no object."""
    content = parsed.value
    if not isinstance(content, dict):
        problems.add("ROW_NOT_OBJECT", place, f"It is {_kind_of(content)}, not an object")
        return None
    row_id = next((str(content[key]) for key in ID_FIELDS if isinstance(content.get(key), str | int)), "")
    place = place._replace(record=row_id)
    if parsed.duplicate_keys:
        message = f"`{quoted(parsed.duplicate_keys[0], 40)}` is written twice"
        problems.add("JSON_DUPLICATE_KEY", place, message, count=len(parsed.duplicate_keys))
    if parsed.may_hold_half_characters:
        try:
            content, is_broken = with_whole_characters(content)
        except RecursionError:
            problems.add("JSON_TOO_DEEP", place, "It is nested too deeply")
            return None
        if is_broken:
            problems.add("TEXT_REPAIRED", place, "A character is written by half")
    return RawRow(place, content)


def _null(_: str) -> None:
    return None


def _finite_float(digits: str) -> float | None:
    number = WrittenFloat(digits)
    return number if math.isfinite(number) else None


def _bounded_int(digits: str) -> int | float | str:
    if digits == "-0":
        return WrittenFloat(digits)
    return int(digits) if len(digits) <= MAX_DIGITS else digits


def _text_lines(path: Path, encoding: Encoding) -> Iterator[str]:
    r"""Yield the lines of a file, ending at "\n" only; of a longer one the first and the next 64 Mi characters."""
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as source:
        while line := source.readline(MAX_LINE_CHARACTERS):
            yield line


def _head(path: Path, encoding: Encoding) -> tuple[str, bool]:
    """Give the first line that is not blank, and whether anything but blanks follows it."""
    lines = (line for line in _text_lines(path, encoding) if line.strip())
    return next(lines, ""), next(lines, None) is not None


def _is_meant_as_lines(path: Path, name: str, encoding: Encoding, *, is_list: bool) -> bool:
    """Tell whether a file that is no good JSON as a whole is JSON lines whose first line is bad."""
    is_named_so = name.lower().endswith(_LINE_SUFFIXES)
    if is_list != is_named_so:
        return is_named_so
    lines = (line for line in _text_lines(path, encoding) if line.strip())  # name and start disagree: look further
    next(lines, "")
    return _is_object(next(lines, ""))


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(parse(line).value, dict)
    except JsonFault:
        return False


def _refuse_bad_bytes(path: Path, encoding: Encoding) -> None:
    if not encoding.fits:
        bad = next((n for n, line in enumerate(_text_lines(path, encoding), 1) if has_bad_bytes(line)), 1)
        raise JsonFault("TEXT_ENCODING", "It is not valid text", bad)


def _checked_list(path: Path, encoding: Encoding) -> Iterator[ParsedJson]:
    """Read the list to its end once, holding one element at a time, then give it from the start."""
    for _ in list_elements(path, encoding):
        pass
    return list_elements(path, encoding)


def _whole(path: Path, encoding: Encoding) -> Iterator[ParsedJson]:
    """Parse a file that is one value: a dict around a list of rows, or one row."""
    if path.stat().st_size > MAX_WHOLE_BYTES:
        raise JsonFault("FILE_TOO_LARGE", f"It is one object of more than {MAX_WHOLE_BYTES >> 20} MiB", 1)
    parsed = parse(path.read_text(encoding=encoding.name, errors=encoding.errors), MAX_WHOLE_VALUES)
    rows = [parsed.value]
    if isinstance(parsed.value, dict) and not {"messages", "conversations", "prompt"} & parsed.value.keys():
        lists = [
            item for item in parsed.value.values() if isinstance(item, list) and item and isinstance(item[0], dict)
        ]
        rows = lists[0] if len(lists) == 1 else rows
    return (
        # in which row a key stands twice is not known: the first row stands for all
        ParsedJson(row, () if number else parsed.duplicate_keys, parsed.may_hold_half_characters)
        for number, row in enumerate(rows)
    )


def _lines(path: Path, name: str, encoding: Encoding, problems: ProblemList) -> Iterator[RawRow]:
    number, is_continued = 0, False
    for line in _text_lines(path, encoding):
        is_start, is_continued = not is_continued, not line.endswith("\n") and len(line) == MAX_LINE_CHARACTERS
        number += is_start
        place = Place(name, number, unit="line")
        if is_start and is_continued:
            problems.add("LINE_TOO_LONG", place, f"It is longer than {MAX_LINE_CHARACTERS:,} characters")
        elif is_start and line.strip():
            row = _line_row(line, place, problems)
            if row is not None:
                yield row


def _line_row(line: str, place: Place, problems: ProblemList) -> RawRow | None:
    if has_bad_bytes(line):
        problems.add("TEXT_ENCODING", place, "It is not valid text")
        return None
    try:
        return raw_row(parse(line), place, problems)
    except JsonFault as fault:
        problems.add(fault.code, place, fault.message)
        return None


def _kind_of(value: Any) -> str:
    names = {str: "a text", list: "a list", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
