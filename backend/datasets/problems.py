"""Collect what is wrong, row by row, in words; hand it out as records or as a table for a spreadsheet."""

import csv
import errno
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple, get_args

from backend.datasets.codes import CODES
from backend.datasets.records import Problem, Severity
from backend.errors import DatasetError

MAX_LISTED = 1_000
MAX_SHOWN = 200  # characters of a quoted value
COLUMNS = ("code", "severity", "file", "line", "record", "field", "message", "hint")
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class UploadRefused(DatasetError):
    """Nothing was imported. `code` says why; `problems` lists what was found on the way."""

    def __init__(self, code: str, message: str, *, hint: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message, hint=hint or CODES[code].hint)
        self.code = code
        self.problems = problems


def refused_by_disk(error: OSError) -> UploadRefused:
    """Say what the operating system refused, in words."""
    if error.errno in _DISK_FULL:
        return UploadRefused("DISK_FULL", "The disk is full")
    where = f" `{shown(str(error.filename))}`" if error.filename else ""
    return UploadRefused("UPLOAD_UNREADABLE", f"The disk refuses{where}: {error.strerror or error}")


class Place(NamedTuple):
    """Where something stands in the upload."""

    file: str
    line: int | None = None  # 1-based: line of a jsonl, element of a json list, row of a table
    record: str = ""  # the row's own id
    unit: str = "row"  # what `line` counts: "line" or "row"

    def __str__(self) -> str:
        """Say it as the start of a sentence: "Line 17 of `train.jsonl`"."""
        file = f"`{shown(self.file)}`"
        return file if self.line is None else f"{self.unit.capitalize()} {self.line:,} of {file}"


class ProblemList:
    """Keeps up to 1,000 problems, errors before warnings before infos, and complete counts by code."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._bad_rows: dict[str, set[int]] = defaultdict(set)
        self._listed: dict[Severity, list[Problem]] = {severity: [] for severity in get_args(Severity)}

    def add(self, code: str, place: Place, message: str, field: str = "", *, count: int = 1) -> None:
        """Report `message`, which follows the place and a colon, under `code`; `count` things stand behind it."""
        severity, hint = CODES[code]
        self.counts[code] += count
        if severity == "error" and place.line is not None:
            self._bad_rows[place.file].add(place.line)
        if len(self._listed[severity]) < MAX_LISTED:
            problem = Problem(
                code=code, severity=severity, file=shown(place.file), line=place.line, record=shown(place.record),
                field=field, message=f"{place}: {message}", hint=hint,
            )  # fmt: skip
            self._listed[severity].append(problem)

    @property
    def bad_rows(self) -> int:
        """How many different rows have an error."""
        return sum(len(lines) for lines in self._bad_rows.values())

    @property
    def errors(self) -> int:
        """How many errors there are, listed or not."""
        return sum(count for code, count in self.counts.items() if CODES[code].severity == "error")

    def listed(self) -> tuple[Problem, ...]:
        """The problems that are listed, gravest first."""
        return tuple(problem for group in self._listed.values() for problem in group)[:MAX_LISTED]


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Make a foreign text safe to quote: control characters escaped, the middle of a long one left out."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit * 2])
    return plain if len(plain) <= limit else f"{plain[: limit - 20]}…{plain[-19:]}"


def counted(count: int, noun: str) -> str:
    """Write "1 picture" or "1,200 pictures"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def as_csv(problems: Iterable[Problem]) -> str:
    """Write problems as CSV with a header; a cell that a spreadsheet would run as a formula starts with `'`."""
    sink = io.StringIO()
    table = csv.writer(sink)
    table.writerow(COLUMNS)
    for problem in problems:
        cells = ["" if value is None else str(value) for value in (getattr(problem, name) for name in COLUMNS)]
        table.writerow([f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell for cell in cells])
    return sink.getvalue()
