"""Read rows from tables: CSV and TSV here, parquet through a program of its own."""

import csv
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.datasets.confinement import command, run
from backend.datasets.encodings import encoding_of, has_bad_bytes
from backend.datasets.json_rows import Record, jsonl_records, record_of
from backend.datasets.json_values import Parsed
from backend.datasets.problems import Place, ProblemList, shown
from backend.datasets.upload import Upload

MAX_CELL_CHARACTERS = 16 << 20
PARQUET_TIMEOUT_S = 3_600
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
        rows = csv.reader(source, delimiter=delimiter)
        try:
            header = [cell.strip() for cell in next(rows, [])]
            number = 0
            for cells in rows:
                if any(cell.strip() for cell in cells):
                    number += 1
                    record = _row(header, cells, Place(name, number), problems)
                    if record is not None:
                        yield record
        except csv.Error as error:
            problems.add("TABLE_INVALID", Place(name, rows.line_num, unit="line"), f"It cannot be read: {error}")


def parquet_records(
    upload: Upload, name: str, into: Path, problems: ProblemList, limit: int = 0
) -> tuple[Iterator[Record], int]:
    """Convert a parquet file in a program of its own, then yield its rows.

    Args:
        upload: receives the pictures that lay inside the table.
        name: the file's name in the upload.
        into: an existing empty folder.
        problems: receives what went wrong.
        limit: convert so many rows; 0 converts all.

    Returns:
        The rows, and how many the whole file has.
    """
    path = upload.path_of(name)
    argv = command("backend.datasets.parquet_worker", str(path), str(into), name, str(limit))
    try:
        ended = run(argv, PARQUET_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        problems.add("PARQUET_INVALID", Place(name), f"It took longer than {PARQUET_TIMEOUT_S // 60} minutes to read")
        return iter(()), 0
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        problems.add("PARQUET_INVALID", Place(name), f"It cannot be read: {shown(lines[-1])}")
        return iter(()), 0
    for picture in into.glob("[0-9]*"):
        upload.add(f"{name}/{picture.name}", picture)
    return _as_rows(jsonl_records(into / "rows.jsonl", name, problems)), int(ended.stdout)


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


def _as_rows(records: Iterator[Record]) -> Iterator[Record]:
    return (record._replace(place=record.place._replace(unit="row")) for record in records)
