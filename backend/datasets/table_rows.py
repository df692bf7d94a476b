"""Read rows from tables: CSV and TSV; parquet and Excel workbooks through programs of their own."""

import csv
import itertools
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self, TextIO

from pydantic import BaseModel, ConfigDict

from backend.datasets.encodings import Encoding, encoding_of, has_bad_bytes
from backend.datasets.json_rows import RawRow, jsonl_rows, raw_row
from backend.datasets.json_text import ParsedJson
from backend.datasets.limits import MAX_COLUMNS, run_worker, worker_command
from backend.datasets.problems import Place, ProblemList, UploadRefused, counted, quoted
from backend.datasets.upload import Upload, is_image

MAX_CELL_CHARACTERS = 16 << 20
MAX_ROW_CHARACTERS = 32 << 20
_DELIMITERS = (",", "\t", ";", "|")
SAMPLE_LINES = 50
MAX_HEADER_CHARACTERS = 200
TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 3_600.0
SLOWEST_BYTES_S = 5_000_000  # two cores of a server write rows three times as fast


class Dialect(NamedTuple):
    """How the cells of a table are told apart."""

    delimiter: str
    is_quoted: bool  # quotes belong to the table, not to the texts
    first_line: int  # how many lines stand before the header


def table_rows(path: Path, name: str, problems: ProblemList, encoding: Encoding | None = None) -> Iterator[RawRow]:
    """Yield the rows of a CSV or TSV file as texts by column.

    The first row names the columns. The delimiter is the one that tells the most lines into as many cells as the
    header has, or what a first line `sep=;` says, as Excel writes it.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    encoding = encoding or encoding_of(path)
    dialect = dialect_of(path, name, encoding)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as source:
        for _ in range(dialect.first_line):
            source.readline(MAX_CELL_CHARACTERS)
        lines = _RowLines(source)
        if dialect.is_quoted:
            rows = csv.reader(lines, delimiter=dialect.delimiter)
        else:
            rows = csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
        try:
            header = [cell.strip() for cell in next(rows, [])]
            number, is_header = 0, _is_header(header, name, problems)
            header = _named_once(header, name, problems) if is_header else header
            for cells in rows if is_header else ():
                lines.row_characters = 0
                if any(cell.strip() for cell in cells):
                    number += 1
                    row = _row_of_cells(header, cells, Place(name, number), dialect, problems)
                    if row is not None:
                        yield row
        except csv.Error as error:
            problems.add("TABLE_INVALID", Place(name, rows.line_num, unit="line"), f"It cannot be read: {error}")


def dialect_of(path: Path, name: str, encoding: Encoding) -> Dialect:
    """Tell how a table is written.

    In a table with tabs, quotes are taken for a part of the texts where one is left open on some line and, without
    regard to quotes, every line has the cells of the header: its cells were written as they are.
    """
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as source:
        first = source.readline(MAX_CELL_CHARACTERS)
        given_delimiter = re.fullmatch(r"\ufeff?sep=(.)\s*", first, re.IGNORECASE)
        if not given_delimiter:
            source.seek(0)
        sample = list(itertools.islice(iter(lambda: source.readline(MAX_CELL_CHARACTERS), ""), SAMPLE_LINES))
    usual = ("\t", *_DELIMITERS) if name.lower().endswith(".tsv") else _DELIMITERS
    delimiter = given_delimiter[1] if given_delimiter else max(usual, key=lambda mark: _consistency(sample, mark))
    skipped = 1 if given_delimiter else 0
    return Dialect(delimiter, not _is_written_as_it_is(path, encoding, delimiter, skipped), skipped)


def _consistency(lines: list[str], delimiter: str) -> tuple[float, int]:
    """The share of rows that have as many cells as the header, and how many these are; 0 where it has one."""
    try:
        rows = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
    except csv.Error:
        return 0.0, 0
    columns = rows[0] if rows else 0
    return (rows.count(columns) / len(rows), columns) if columns > 1 else (0.0, 0)


def _is_written_as_it_is(path: Path, encoding: Encoding, delimiter: str, skipped: int) -> bool:
    has_open_quote, marks = False, -1
    if delimiter != "\t":
        return False
    with path.open(encoding=encoding.name, errors=encoding.errors, newline=None) as source:
        for number, line in enumerate(iter(lambda: source.readline(MAX_CELL_CHARACTERS), "")):
            if number < skipped or not line.strip():
                continue
            count = line.count(delimiter)
            marks = count if marks < 0 else marks
            if count != marks:
                return False
            has_open_quote |= line.count('"') % 2 == 1
    return has_open_quote and marks > 0


class _RowLines:
    """The lines of a table, as long as the row that they make up is of a size that fits into memory."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self.row_characters = 0  # of the row that is being read; whoever has taken it sets this back

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line. Raises csv.Error where a row has no end."""
        line = self._source.readline(MAX_ROW_CHARACTERS)
        if not line:
            raise StopIteration
        self.row_characters += len(line)
        if self.row_characters >= MAX_ROW_CHARACTERS:
            raise csv.Error(f"a row is longer than {MAX_ROW_CHARACTERS:,} characters")
        return line


class TableOutcome(BaseModel):
    """What the program says about one file. `code` is empty where it was converted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = 0  # of the whole file
    written_bytes: int = 0
    code: str = ""
    message: str = ""
    errno: int | None = None  # the disk refused
    other_sheets: tuple[str, ...] = ()  # of a workbook, which were not read


WORKERS = {
    ".parquet": "parquet_worker",
    ".arrow": "parquet_worker",
    ".xlsx": "workbook_worker",
    ".xlsm": "workbook_worker",
}


def converted_rows(
    upload: Upload, name: str, into: Path, problems: ProblemList, limit: int = 0
) -> tuple[Iterator[RawRow], int]:
    """Convert a parquet file or a workbook in a program of its own, then yield its rows.

    Args:
        upload: receives the images that lay inside the table.
        name: the file's name in the upload.
        into: an existing empty folder.
        problems: receives what went wrong.
        limit: convert so many rows; 0 converts all.

    Returns:
        The rows, and how many the whole file has.

    Raises:
        UploadRefused: it expands to far more than it is.
        OSError: the disk refuses.
    """
    path = upload.path_of(name)
    if path is None:
        raise FileNotFoundError(name)
    packed_bytes = upload.packed_bytes(path)
    max_unpacked_bytes = upload.table_budget.add_archive(packed_bytes)
    worker = f"backend.datasets.{WORKERS[PurePosixPath(name).suffix.lower()]}"
    argv = worker_command(worker, str(path), str(into), name, str(limit), str(max_unpacked_bytes))
    outcome = _run_conversion(argv, seconds_for(max_unpacked_bytes))
    if outcome.errno is not None:
        raise OSError(outcome.errno, os.strerror(outcome.errno))
    if outcome.code == "TABLE_BOMB":
        raise UploadRefused(outcome.code, f"`{quoted(name)}` takes {packed_bytes:,} bytes and {outcome.message}")
    if outcome.code:
        problems.add(outcome.code, Place(name), f"It {outcome.message}")
        return iter(()), 0
    if outcome.other_sheets:
        others = ", ".join(f"`{quoted(sheet, 40)}`" for sheet in outcome.other_sheets)
        problems.add("SHEETS_UNREAD", Place(name), f"Its first sheet was read, and not {others}")
    upload.table_budget.spend(outcome.written_bytes)
    for image in into.glob("[0-9]*"):
        share = image.stat().st_size * packed_bytes // outcome.written_bytes
        upload.add(f"{name}/{image.name}", image, share)
    return _counted_as_rows(jsonl_rows(into / "rows.jsonl", name, problems)), outcome.rows


def seconds_for(max_unpacked_bytes: int) -> float:
    """How long a table that may expand to so many bytes may take."""
    return min(MAX_TIMEOUT_S, TIMEOUT_S + max_unpacked_bytes / SLOWEST_BYTES_S)


def _named_once(header: list[str], name: str, problems: ProblemList) -> list[str]:
    """Number the columns whose name stands twice, so that none is lost."""
    counts: Counter[str] = Counter()
    named = []
    for column in header:
        counts[column] += 1
        named.append(column if counts[column] == 1 or not column else f"{column} ({counts[column]})")
    for column, count in counts.items():
        if column and count > 1:
            message = f"It names {count} columns `{quoted(column, 40)}`; all but the first are numbered"
            problems.add("COLUMN_TWICE", Place(name), message, column)
    return named


def _is_header(header: list[str], name: str, problems: ProblemList) -> bool:
    if len(header) > MAX_COLUMNS:
        message = f"It has {len(header):,} columns; the limit is {MAX_COLUMNS:,}"
        problems.add("TABLE_TOO_LARGE", Place(name), message)
    elif example := next((cell for cell in header if is_image(cell) or len(cell) > MAX_HEADER_CHARACTERS), ""):
        problems.add(
            "TABLE_HEADER", Place(name), f"Its first line holds `{quoted(example, 60)}`, which is no column's name"
        )
    else:
        return True
    return False


def _row_of_cells(
    header: list[str], cells: list[str], place: Place, dialect: Dialect, problems: ProblemList
) -> RawRow | None:
    if len(cells) > len(header):
        message = f"It has {len(cells)} cells, and the header names {len(header)} columns"
        problems.add("TABLE_INVALID", place, message)
        return None
    if swallowed := sum(_swallowed(cell, dialect.delimiter, len(header)) for cell in cells):
        problems.add(
            "TABLE_INVALID", place, f"A quote in it is not closed and takes in {counted(swallowed, 'further row')}"
        )
        return None
    if any(has_bad_bytes(cell) for cell in cells):
        problems.add("TEXT_ENCODING", place, "It is not valid text")
        return None
    padded = cells + [""] * (len(header) - len(cells))
    content: dict[str, Any] = {column: cell for column, cell in zip(header, padded, strict=True) if column}
    return raw_row(ParsedJson(content, (), may_hold_half_characters=False), place, problems)


def _swallowed(cell: str, delimiter: str, columns: int) -> int:
    """How many lines within a cell look like rows of their own."""
    if "\n" not in cell or columns < 2:
        return 0
    lines = [line for line in cell.splitlines()[1:] if line.count(delimiter) == columns - 1]
    return sum(columns > 2 or is_image(line.partition(delimiter)[0]) for line in lines)


def _run_conversion(argv: tuple[str, ...], timeout_s: float) -> TableOutcome:
    try:
        ended = run_worker(argv, timeout_s)
    except subprocess.TimeoutExpired:
        return TableOutcome(code="PARQUET_INVALID", message=f"took longer than {timeout_s:,.0f} s to read")
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        return TableOutcome(code="PARQUET_INVALID", message=f"cannot be read: {quoted(lines[-1])}")
    return TableOutcome.model_validate_json(ended.stdout)


def _counted_as_rows(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    return (row._replace(place=row.place._replace(unit="row")) for row in rows)
