"""`python -m backend.datasets.workbook_worker SOURCE INTO LABEL LIMIT BYTES`: turn an Excel workbook into JSON lines.

A program of its own, as `parquet_worker` is: a workbook is a zip of XML that is not trusted. Writes the rows of the
first sheet that holds any as `INTO/rows.jsonl`, every cell as the text that Excel shows. LIMIT 0 means every row. What
the workbook unpacks to takes at most BYTES. Prints a `TableOutcome` of `backend.datasets.table_rows`.
"""

import datetime
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from backend.datasets.limits import MAX_COLUMNS, confine

MEMORY_BYTES = 2 * 1024**3
MAX_MEMBERS = 10_000  # of the zip that a workbook is
_DECIMALS = re.compile(r"(?P<group>#,##)?0(?:\.(?P<places>0+))?(?P<percent>%)?(?:_\))?(?:;.*)?")


class WorkbookRefusal(Exception):
    """The workbook may not be converted: a code of the problem list and a message that follows its name and size."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def convert(source: Path, into: Path, limit: int, max_bytes: int) -> dict[str, Any]:
    """Write the first `limit` rows of the first sheet that holds some, or all where that is 0.

    Raises:
        WorkbookRefusal: it is no workbook, or larger than it may be.
        OSError: the disk refuses.
    """
    _refuse_bomb(source, max_bytes)
    try:
        book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    except (InvalidFileException, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise WorkbookRefusal("WORKBOOK_INVALID", f"cannot be read: {error}") from error
    for place, sheet in enumerate(book.worksheets):
        sheet.reset_dimensions()  # what it says of its own size may be wrong
        rows = (row for row in sheet.iter_rows() if any(cell.value is not None for cell in row))
        header = [_text(cell) for cell in next(rows, ())]
        if header:
            others = [other.title for other in book.worksheets[place + 1 :]]
            return {"rows": _write(rows, header, into, limit, max_bytes), "other_sheets": others}
    return {"rows": 0}


def _write(rows: Any, header: list[str], into: Path, limit: int, max_bytes: int) -> int:
    if len(header) > MAX_COLUMNS:
        raise WorkbookRefusal("TABLE_TOO_LARGE", f"has {len(header):,} columns; the limit is {MAX_COLUMNS:,}")
    names = _named_once([name.strip() for name in header])
    count = written = 0
    with (into / "rows.jsonl").open("w", encoding="utf-8") as sink:
        for row in rows:
            count += 1
            if limit and count > limit:
                continue
            cells = [_text(cell) for cell in row]
            if len(cells) > len(names) and any(cells[len(names) :]):
                raise WorkbookRefusal("TABLE_INVALID", f"has more cells in row {count + 1:,} than named columns")
            texts = dict(zip(names, cells, strict=False))
            line = json.dumps({name: text for name, text in texts.items() if name}, ensure_ascii=False) + "\n"
            written += len(line)
            if written > max_bytes:
                raise WorkbookRefusal("TABLE_BOMB", f"expands to more than {max_bytes:,}")
            sink.write(line)
    return count


def _named_once(header: list[str]) -> list[str]:
    names: list[str] = []
    for name in header:
        names.append(f"{name} ({names.count(name) + 1})" if name and name in names else name)
    return names


def _text(cell: Any) -> str:
    """What Excel shows in a cell, where that is plain: a text as it is, a number with the places of its format."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "General")
    return str(value)


def _number(value: float, written: str) -> str:
    shown = _DECIMALS.fullmatch(written)
    if shown is None:
        return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
    places, percent = len(shown["places"] or ""), shown["percent"] or ""
    comma = "," if shown["group"] else ""
    return f"{value * 100 if percent else value:{comma}.{places}f}{percent}"


def _refuse_bomb(source: Path, max_bytes: int) -> None:
    try:
        with zipfile.ZipFile(source) as zipped:
            entries = zipped.infolist()
    except zipfile.BadZipFile as error:
        raise WorkbookRefusal("WORKBOOK_INVALID", "is no workbook of Excel 2007 or later") from error
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_MEMBERS or unpacked > max_bytes:
        raise WorkbookRefusal("TABLE_BOMB", f"unpacks to {unpacked:,}; {max_bytes:,} are the most for its size")


def main(source: str, into: str, label: str, limit: str, bytes_allowed: str) -> None:
    """Convert the file and say how that went. Raises whatever openpyxl raises; the parent reports the last line."""
    del label  # images in cells are not read
    confine(MEMORY_BYTES)
    outcome: dict[str, Any] = {}
    try:
        outcome = convert(Path(source), Path(into), int(limit), int(bytes_allowed))
        rows = Path(into, "rows.jsonl")
        outcome["written_bytes"] = max(1, rows.stat().st_size) if rows.exists() else 1
        rows.touch()
    except WorkbookRefusal as refusal:
        outcome = {"code": refusal.code, "message": refusal.message}
    except MemoryError:
        outcome = {"code": "TABLE_BOMB", "message": f"needs more than {MEMORY_BYTES / 1024**3:.1f} GiB of memory"}
    except OSError as error:
        outcome = {"errno": error.errno or 0}
    print(json.dumps(outcome))  # noqa: T201 - the answer to the parent


if __name__ == "__main__":
    main(*sys.argv[1:])
