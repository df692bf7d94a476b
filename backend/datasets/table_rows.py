"""Read rows from tables: CSV, TSV, and parquet through a program of its own."""

import csv
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TextIO

from pydantic import BaseModel, ConfigDict

from backend.datasets.json_rows import ParsedJson, RawRow, jsonl_rows, raw_row
from backend.datasets.limits import MAX_COLUMNS, run_worker, worker_command
from backend.datasets.problems import Place, ProblemList, UploadRefused, quoted
from backend.datasets.upload import Upload, encoding_of, has_bad_bytes

MAX_CELL_CHARACTERS = 16 << 20
MAX_ROW_CHARACTERS = 32 << 20
_DELIMITERS = (",", "\t", ";", "|")
TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 3_600.0
SLOWEST_BYTES_S = 5_000_000  # two cores of a server write rows three times as fast


def table_rows(path: Path, name: str, problems: ProblemList) -> Iterator[RawRow]:
    """Yield the rows of a CSV or TSV file as texts by column.

    The first row names the columns. The delimiter is the one that the header holds most often, a tab for .tsv.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    encoding = encoding_of(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as source:
        first = source.readline(MAX_CELL_CHARACTERS)
        source.seek(0)
        delimiter = "\t" if name.lower().endswith(".tsv") else max(_DELIMITERS, key=first.count)
        lines = _RowLines(source)
        rows = csv.reader(lines, delimiter=delimiter)
        try:
            header = [cell.strip() for cell in next(rows, [])]
            number = 0
            for cells in rows if _has_few_columns(header, name, problems) else ():
                lines.row_characters = 0
                if any(cell.strip() for cell in cells):
                    number += 1
                    row = _row_of_cells(header, cells, Place(name, number), problems)
                    if row is not None:
                        yield row
        except csv.Error as error:
            problems.add("TABLE_INVALID", Place(name, rows.line_num, unit="line"), f"It cannot be read: {error}")


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


def parquet_rows(
    upload: Upload, name: str, into: Path, problems: ProblemList, limit: int = 0
) -> tuple[Iterator[RawRow], int]:
    """Convert a parquet file in a program of its own, then yield its rows.

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
    argv = worker_command(
        "backend.datasets.parquet_worker", str(path), str(into), name, str(limit), str(max_unpacked_bytes)
    )
    outcome = _run_conversion(argv, seconds_for(max_unpacked_bytes))
    if outcome.errno is not None:
        raise OSError(outcome.errno, os.strerror(outcome.errno))
    if outcome.code == "TABLE_BOMB":
        raise UploadRefused(outcome.code, f"`{quoted(name)}` takes {packed_bytes:,} bytes and {outcome.message}")
    if outcome.code:
        problems.add(outcome.code, Place(name), f"It {outcome.message}")
        return iter(()), 0
    upload.table_budget.spend(outcome.written_bytes)
    for image in into.glob("[0-9]*"):
        share = image.stat().st_size * packed_bytes // outcome.written_bytes
        upload.add(f"{name}/{image.name}", image, share)
    return _counted_as_rows(jsonl_rows(into / "rows.jsonl", name, problems)), outcome.rows


def seconds_for(max_unpacked_bytes: int) -> float:
    """How long a table that may expand to so many bytes may take."""
    return min(MAX_TIMEOUT_S, TIMEOUT_S + max_unpacked_bytes / SLOWEST_BYTES_S)


def _has_few_columns(header: list[str], name: str, problems: ProblemList) -> bool:
    if len(header) > MAX_COLUMNS:
        message = f"It has {len(header):,} columns; the limit is {MAX_COLUMNS:,}"
        problems.add("TABLE_TOO_LARGE", Place(name), message)
    return len(header) <= MAX_COLUMNS


def _row_of_cells(header: list[str], cells: list[str], place: Place, problems: ProblemList) -> RawRow | None:
    if len(cells) > len(header):
        message = f"It has {len(cells)} cells, and the header names {len(header)} columns"
        problems.add("TABLE_INVALID", place, message)
        return None
    if any(has_bad_bytes(cell) for cell in cells):
        problems.add("TEXT_ENCODING", place, "It is not valid text")
        return None
    padded = cells + [""] * (len(header) - len(cells))
    content: dict[str, Any] = {column: cell for column, cell in zip(header, padded, strict=True) if column}
    return raw_row(ParsedJson(content, (), may_hold_half_characters=False), place, problems)


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
