"""Read rows from JSON or JSON lines, whatever the file is called; one bad line harms no other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from backend.datasets.encodings import Encoding, encoding_of, has_bad_bytes
from backend.datasets.json_objects import UnclearObjectError, expanded, rows_in
from backend.datasets.json_text import JsonFault, ParsedJson, list_elements, parse, with_whole_characters
from backend.datasets.problems import Place, ProblemList, quoted

_LINE_SUFFIXES = (".jsonl", ".ndjson")
ID_FIELDS = ("id", "ID", "uid", "question_id", "sample_id")
MAX_LINE_CHARACTERS = 64 << 20
MAX_WHOLE_VALUES = 16_000_000  # likewise
MAX_WHOLE_BYTES = 256 << 20  # of a file that is one object, which is parsed at once


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
        yield from _rows_of(parsed, Place(name, number), problems)


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
    if isinstance(parsed.value, dict):
        try:
            rows = rows_in(parsed.value)
        except UnclearObjectError as error:
            raise JsonFault("OBJECT_UNCLEAR", str(error), 1) from error
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
            yield from _line_rows(line, place, problems)


def _line_rows(line: str, place: Place, problems: ProblemList) -> Iterator[RawRow]:
    if has_bad_bytes(line):
        problems.add("TEXT_ENCODING", place, "It is not valid text")
        return
    try:
        parsed = parse(line)
    except JsonFault as fault:
        problems.add(fault.code, place, fault.message)
        return
    yield from _rows_of(parsed, place, problems)


def _rows_of(parsed: ParsedJson, place: Place, problems: ProblemList) -> Iterator[RawRow]:
    """The rows of an element: itself, or those that it lists."""
    contents = expanded(parsed.value) if isinstance(parsed.value, dict) else [parsed.value]
    for number, content in enumerate(contents):
        keys = () if number else parsed.duplicate_keys
        row = raw_row(ParsedJson(content, keys, parsed.may_hold_half_characters), place, problems)
        if row is not None:
            yield row


def _kind_of(value: Any) -> str:
    names = {str: "a text", list: "a list", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
