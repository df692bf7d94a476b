"""Read rows from tables of text: CSV and TSV."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TextIO

from backend.datasets.encodings import encoding_of, has_bad_bytes
from backend.datasets.expansion import MAX_COLUMNS
from backend.datasets.json_rows import Record, record_of
from backend.datasets.json_values import Parsed
from backend.datasets.problems import Place, ProblemList

MAX_CELL_CHARACTERS = 16 << 20
MAX_ROW_CHARACTERS = 32 << 20
_DELIMITERS = (",", "\t", ";", "|")


def table_records(path: Path, name: str, problems: ProblemList) -> Iterator[Record]:
    """Yield the rows of a CSV or TSV file as texts by column.

    The first row names the columns. The delimiter is the one that the header holds most often, a tab for .tsv.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    encoding = encoding_of(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as source:
        first = source.readline(MAX_CELL_CHARACTERS)
        source.seek(0)
        delimiter = "\t" if name.lower().endswith(".tsv") else max(_DELIMITERS, key=first.count)
        lines = _Lines(source)
        rows = csv.reader(lines, delimiter=delimiter)
        try:
            header = [cell.strip() for cell in next(rows, [])]
            number = 0
            for cells in rows if _is_narrow(header, name, problems) else ():
                lines.row_characters = 0
                if any(cell.strip() for cell in cells):
                    number += 1
                    record = _row(header, cells, Place(name, number), problems)
                    if record is not None:
                        yield record
        except csv.Error as error:
            problems.add("TABLE_INVALID", Place(name, rows.line_num, unit="line"), f"It cannot be read: {error}")


def _is_narrow(header: list[str], name: str, problems: ProblemList) -> bool:
    if len(header) > MAX_COLUMNS:
        message = f"It has {len(header):,} columns; the limit is {MAX_COLUMNS:,}"
        problems.add("TABLE_TOO_LARGE", Place(name), message)
    return len(header) <= MAX_COLUMNS


class _Lines:
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


def _row(header: list[str], cells: list[str], place: Place, problems: ProblemList) -> Record | None:
    if len(cells) > len(header):
        message = f"It has {len(cells)} cells, and the header names {len(header)} columns"
        problems.add("TABLE_INVALID", place, message)
        return None
    if any(has_bad_bytes(cell) for cell in cells):
        problems.add("TEXT_ENCODING", place, "It is not valid text")
        return None
    padded = cells + [""] * (len(header) - len(cells))
    content: dict[str, Any] = {column: cell for column, cell in zip(header, padded, strict=True) if column}
    return record_of(Parsed(content, (), may_be_broken=False), place, problems)
