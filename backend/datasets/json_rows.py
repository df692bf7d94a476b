"""Read rows from JSON or JSON lines, whatever the file is called; one bad line harms no other."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from backend.datasets.encodings import Encoding, encoding_of, has_bad_bytes
from backend.datasets.problems import Place, ProblemList

MAX_WHOLE_BYTES = 1 << 30  # of a file that is parsed at once
MAX_LINE_CHARACTERS = 64 << 20
MAX_DIGITS = 4_000  # Python refuses to turn longer ones into a number
_LINE_SUFFIXES = (".jsonl", ".ndjson")
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_ID_FIELDS = ("id", "ID", "uid", "question_id", "sample_id")


class Record(NamedTuple):
    """One row as it was written."""

    place: Place
    content: dict[str, Any]


class JsonFault(Exception):
    """A text is no JSON that can be used: a code of the problem list, a message, and a line within the text."""

    def __init__(self, code: str, message: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.line = code, message, line


class Parsed(NamedTuple):
    """What a JSON text holds, and the keys that stood twice in one object."""

    value: Any
    doubled: tuple[str, ...]


def json_records(path: Path, name: str, problems: ProblemList) -> Iterator[Record]:
    """Yield the objects of a JSON list, of a dict's only list, or of JSON lines, each with its place.

    Args:
        path: the file.
        name: what the person calls it.
        problems: receives whatever could not be read; such rows are left out.
    """
    encoding = encoding_of(path)
    first_line, has_more = _head(path, encoding)
    if not first_line.strip():
        problems.add("NO_ROWS", Place(name), "It is empty")
        return
    if has_more and _is_object(first_line):
        yield from _lines(path, name, encoding, problems)
        return
    try:
        parsed, repair = _whole(path, encoding)
    except JsonFault as fault:
        if has_more and (name.lower().endswith(_LINE_SUFFIXES) or _second_line_is_object(path, encoding)):
            yield from _lines(path, name, encoding, problems)
        else:
            problems.add(fault.code, Place(name, fault.line, unit="line"), fault.message)
        return
    yield from _elements(parsed, name, problems, repair=repair)


def jsonl_records(path: Path, name: str, problems: ProblemList) -> Iterator[Record]:
    """Yield the objects of a UTF-8 file that is known to be JSON lines, each with its place."""
    return _lines(path, name, Encoding("utf-8", fits=True), problems)


def parse(text: str) -> Parsed:
    """Decode JSON. NaN and infinities become None; the last of doubled keys counts; a huge integer stays text.

    Raises:
        JsonFault: with the line where it went wrong.
    """
    doubled: list[str] = []

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            doubled.extend(key for key in found if keys.count(key) > 1)
        return found

    try:
        value = json.loads(
            text, object_pairs_hook=to_dict, parse_constant=_nothing, parse_float=_finite, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise JsonFault("JSON_INVALID", f"{error.msg} at column {error.colno}", error.lineno) from error
    except RecursionError as error:
        raise JsonFault("JSON_TOO_DEEP", "It is nested too deeply", 1) from error
    return Parsed(value, tuple(doubled))


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


def record_of(content: Any, place: Place, problems: ProblemList, *, repair: bool) -> Record | None:
    """Make a record of one row's value; None and a problem where it is no object."""
    if not isinstance(content, dict):
        problems.add("ROW_NOT_OBJECT", place, f"It is {_kind(content)}, not an object")
        return None
    own_id = next((str(content[key]) for key in _ID_FIELDS if isinstance(content.get(key), str | int)), "")
    place = place._replace(record=own_id)
    if repair:
        try:
            content, is_broken = repaired(content)
        except RecursionError:
            problems.add("JSON_TOO_DEEP", place, "It is nested too deeply")
            return None
        if is_broken:
            problems.add("TEXT_REPAIRED", place, "A character is written by half")
    return Record(place, content)


def _text_lines(path: Path, encoding: Encoding) -> Iterator[str]:
    r"""Yield the lines of a file, ending at "\n" only; of a longer one the first and the next 64 Mi characters."""
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as source:
        while line := source.readline(MAX_LINE_CHARACTERS):
            yield line


def _head(path: Path, encoding: Encoding) -> tuple[str, bool]:
    """Give the first line that is not blank, and whether anything but blanks follows it."""
    lines = (line for line in _text_lines(path, encoding) if line.strip())
    return next(lines, ""), next(lines, None) is not None


def _second_line_is_object(path: Path, encoding: Encoding) -> bool:
    lines = (line for line in _text_lines(path, encoding) if line.strip())
    next(lines, "")
    return _is_object(next(lines, ""))


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        return isinstance(parse(line).value, dict)
    except JsonFault:
        return False


def _whole(path: Path, encoding: Encoding) -> tuple[Parsed, bool]:
    """Parse a file at once; also tells whether its texts may hold halves of characters."""
    if path.stat().st_size > MAX_WHOLE_BYTES:
        raise JsonFault("FILE_TOO_LARGE", f"It is larger than {MAX_WHOLE_BYTES >> 30} GiB", 1)
    text = path.read_text(encoding=encoding.name, errors=encoding.errors)
    if not encoding.fits:
        before = re.split(r"[\udc80-\udcff]", text, maxsplit=1)[0]
        raise JsonFault("TEXT_ENCODING", "It is not valid text", before.count("\n") + 1)
    return parse(text), bool(_HALF_CHARACTER.search(text))


def _lines(path: Path, name: str, encoding: Encoding, problems: ProblemList) -> Iterator[Record]:
    number, is_continued = 0, False
    for line in _text_lines(path, encoding):
        is_start, is_continued = not is_continued, not line.endswith("\n") and len(line) == MAX_LINE_CHARACTERS
        number += is_start
        place = Place(name, number, unit="line")
        if is_start and is_continued:
            problems.add("LINE_TOO_LONG", place, f"It is longer than {MAX_LINE_CHARACTERS:,} characters")
        elif is_start and line.strip():
            record = _line_record(line, place, problems)
            if record is not None:
                yield record


def _line_record(line: str, place: Place, problems: ProblemList) -> Record | None:
    if has_bad_bytes(line):
        problems.add("TEXT_ENCODING", place, "It is not valid text")
        return None
    try:
        parsed = parse(line)
    except JsonFault as fault:
        problems.add(fault.code, place, fault.message)
        return None
    _report_doubled(parsed, place, problems)
    return record_of(parsed.value, place, problems, repair=bool(_HALF_CHARACTER.search(line)))


def _elements(parsed: Parsed, name: str, problems: ProblemList, *, repair: bool) -> Iterator[Record]:
    value = parsed.value
    _report_doubled(parsed, Place(name), problems)
    if isinstance(value, dict):
        lists = [item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)]
        wraps = len(lists) == 1 and not {"messages", "conversations", "prompt"} & value.keys()
        value = lists[0] if wraps else [value]
    elif not isinstance(value, list):
        problems.add("ROW_NOT_OBJECT", Place(name), f"It holds {_kind(value)}, not a list of rows")
        return
    for number, content in enumerate(value, start=1):
        record = record_of(content, Place(name, number), problems, repair=repair)
        if record is not None:
            yield record


def _report_doubled(parsed: Parsed, place: Place, problems: ProblemList) -> None:
    if parsed.doubled:
        problems.add("JSON_DUPLICATE_KEY", place, f"`{parsed.doubled[0]}` is written twice", count=len(parsed.doubled))


def _kind(value: Any) -> str:
    names = {str: "a text", list: "a list", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _nothing(_: str) -> None:
    return None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= MAX_DIGITS else digits
