"""Read rows from parquet through a program of its own, which writes no more than the file's size allows."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from backend.datasets.confinement import command, run
from backend.datasets.json_rows import Record, jsonl_records
from backend.datasets.problems import Place, ProblemList, UploadRefused, shown
from backend.datasets.upload import Upload

TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 3_600.0
SLOWEST_BYTES_S = 5_000_000  # two cores of a server write rows three times as fast


class TableOutcome(BaseModel):
    """What the program says about one file. `code` is empty where it was converted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = 0  # of the whole file
    written_bytes: int = 0
    code: str = ""
    message: str = ""
    errno: int | None = None  # the disk refused


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

    Raises:
        UploadRefused: it expands to far more than it is.
        OSError: the disk refuses.
    """
    path = upload.path_of(name)
    if path is None:
        raise FileNotFoundError(name)
    packed_bytes = upload.packed_bytes(path)
    most_bytes = upload.tables.most_bytes(packed_bytes)
    argv = command("backend.datasets.parquet_worker", str(path), str(into), name, str(limit), str(most_bytes))
    outcome = _converted(argv, seconds_for(most_bytes))
    if outcome.errno is not None:
        raise OSError(outcome.errno, os.strerror(outcome.errno))
    if outcome.code == "TABLE_BOMB":
        raise UploadRefused(outcome.code, f"`{shown(name)}` takes {packed_bytes:,} bytes and {outcome.message}")
    if outcome.code:
        problems.add(outcome.code, Place(name), f"It {outcome.message}")
        return iter(()), 0
    upload.tables.take(outcome.written_bytes)
    for picture in into.glob("[0-9]*"):
        share = picture.stat().st_size * packed_bytes // outcome.written_bytes
        upload.add(f"{name}/{picture.name}", picture, share)
    return _as_rows(jsonl_records(into / "rows.jsonl", name, problems)), outcome.rows


def seconds_for(most_bytes: int) -> float:
    """How long a table that may expand to so many bytes may take."""
    return min(MAX_TIMEOUT_S, TIMEOUT_S + most_bytes / SLOWEST_BYTES_S)


def _converted(argv: tuple[str, ...], timeout_s: float) -> TableOutcome:
    try:
        ended = run(argv, timeout_s)
    except subprocess.TimeoutExpired:
        return TableOutcome(code="PARQUET_INVALID", message=f"took longer than {timeout_s:,.0f} s to read")
    if ended.returncode:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {ended.returncode}"]
        return TableOutcome(code="PARQUET_INVALID", message=f"cannot be read: {shown(lines[-1])}")
    return TableOutcome.model_validate_json(ended.stdout)


def _as_rows(records: Iterator[Record]) -> Iterator[Record]:
    return (record._replace(place=record.place._replace(unit="row")) for record in records)
