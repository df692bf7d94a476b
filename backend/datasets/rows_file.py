"""`data.json`: a JSON list with one row a line, written once, read by line; and which file holds which version."""

import contextlib
import hashlib
import json
import os
import re
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from pydantic import ValidationError

from backend.conversation import SPLITS, Row, Split
from backend.datasets.records import RowPage
from backend.errors import DatasetError
from backend.jsonl import strict_json

SEARCHES_REMEMBERED = 16  # 8 bytes a row that matched
ROWS = "data.json"
INDEX = "data.index"  # 64-bit numbers: SPLIT_CODES, size of the rows' file, rows, and for each row its entry
SPLIT_CODES = 4  # an entry is SPLIT_CODES x the row's offset + its part; earlier versions wrote no such number, and 2
VERSIONS = "versions"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RowWriter:
    """Writes `data.json` and its index. Use as a context; the files are synced when it ends without an error."""

    def __init__(self, folder: Path) -> None:
        """Create both files in an existing folder."""
        self._folder = folder
        self._sink = (folder / ROWS).open("wb")
        self._digest = hashlib.sha256()
        self._index = array("Q")
        self._position = 0

    def __enter__(self) -> Self:
        self._write(b"[")
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._sink:
            if kind is None:
                self._write(b"\n]\n")
                self._sink.flush()
                os.fsync(self._sink.fileno())
        if kind is None:
            with (self._folder / INDEX).open("wb") as sink:
                sink.write(
                    array("Q", [SPLIT_CODES, self._position, len(self._index)]).tobytes() + self._index.tobytes()
                )
                sink.flush()
                os.fsync(sink.fileno())

    def add(self, row: Row) -> None:
        """Append one row."""
        self._append(as_line(row), row.split)

    def add_line(self, line: bytes, split: Split) -> None:
        """Append a training row that `as_line` wrote, on that side of the split."""
        if split != "train":  # an id holds no quotes: the first of these is the row's own field
            line = line.replace(b'"split":"train"', b'"split":"%s"' % split.encode(), 1)
        self._append(line, split)

    @property
    def sha256(self) -> str:
        """Of what was written; of the whole file after the context ended."""
        return self._digest.hexdigest()

    def _append(self, line: bytes, split: Split) -> None:
        self._write(b",\n" if self._index else b"\n")
        self._index.append(_entry(self._position, split))
        self._write(line)

    def _write(self, content: bytes) -> None:
        self._sink.write(content)
        self._digest.update(content)
        self._position += len(content)


def as_line(row: Row) -> bytes:
    """Write one row as it stands in `data.json`, without the end of its line."""
    return strict_json(row.as_written()).encode()


def read_rows(folder: Path, split: Split | None = None, sha256: str = "") -> Iterator[Row]:
    """Yield the rows of one version in order, holding one at a time; without `sha256` those of `data.json`.

    Raises:
        DatasetError: a line is no row.
    """
    with open_rows(folder, sha256).rows as source:
        for number, line in enumerate(source, start=1):
            row = parse_line(line, f"line {number:,} of `{folder.name}/{ROWS}`")
            if row is not None and split in (None, row.split):
                yield row


def read_page(
    folder: Path, start: int, count: int, search: str = "", split: Split | None = None, sha256: str = ""
) -> RowPage:
    """Give `count` rows from the `start`-th match on, and how many match in all.

    Without a search only the rows of the page are read; with one the file is read once, a line at a time, and where the
    rows stand that matched is remembered for the next page. A row matches if one of its turns holds the words, upper or
    lower case.

    Raises:
        DatasetError: a line is no row.
    """
    start, count, words = max(0, start), max(0, count), search.strip()
    entries = None
    if words:
        matching_entries = _matching_entries if sha256 else _matching_entries.__wrapped__  # a version never changes
        entries = matching_entries(folder, sha256, words, split)
    opened = open_rows(folder, sha256)
    with opened.rows as source:
        if entries is None:
            entries = _entries_of(opened, folder.name)
            if split is not None:
                entries = array("Q", (entry for entry in entries if SPLITS[entry % SPLIT_CODES] == split))
        rows = []
        for entry in entries[start : start + count]:
            source.seek(entry // SPLIT_CODES)
            row = parse_line(source.readline(), f"byte {entry // SPLIT_CODES:,} of `{folder.name}/{ROWS}`")
            rows += [row] if row is not None else []
    return RowPage(tuple(rows), len(entries))


def parse_line(line: bytes, where: str) -> Row | None:
    """Read one line; None for the brackets of the list. Raises DatasetError."""
    text = line.strip().removesuffix(b",")
    if text in (b"", b"[", b"]", b"[]"):
        return None
    try:
        return Row.model_validate_json(text)
    except ValidationError as error:
        raise DatasetError(
            f"There is no row at {where}", hint="Delete the dataset and import it again; it was changed by hand"
        ) from error


class OpenRows(NamedTuple):
    """The rows of one version, whatever happens to the dataset from now on."""

    rows: BinaryIO
    entries: bytes  # of the index; empty where there is none


def rows_path(folder: Path, sha256: str) -> Path:
    """Where a version's rows are kept."""
    return folder / VERSIONS / f"{sha256}.json"


def index_path(folder: Path, sha256: str) -> Path:
    """Where the index of a version's rows is kept."""
    return folder / VERSIONS / f"{sha256}.index"


def has_version(folder: Path, sha256: str) -> bool:
    """Whether the rows of this version lie in `versions/`. Safe for any text."""
    return bool(_SHA256.fullmatch(sha256)) and rows_path(folder, sha256).is_file()


def open_rows(folder: Path, sha256: str = "") -> OpenRows:
    """Open the rows of one version; the caller closes them.

    Args:
        folder: the dataset's.
        sha256: a version that is kept, or the current one; empty takes `data.json` as it lies there.

    Raises:
        FileNotFoundError: there are no rows.
    """
    version_files = rows_path(folder, sha256), index_path(folder, sha256)
    if sha256:
        with contextlib.suppress(FileNotFoundError):
            return _open_files(*version_files)
    opened = _open_files(folder / ROWS, folder / INDEX)
    if has_version(folder, sha256):  # kept before `data.json` is replaced: what was opened may be the next version
        opened.rows.close()
        return _open_files(*version_files)
    return opened


def digest_of(path: Path) -> str:
    """The sha256 of a file. Raises OSError."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _entries_of(opened: OpenRows, name: str) -> "array[int]":
    """The entry of each row; made anew where the index is missing or the rows were changed."""
    stored = array("Q")
    size = os.fstat(opened.rows.fileno()).st_size
    stored.frombytes(opened.entries[: len(opened.entries) // 8 * 8])
    if list(stored[:3]) == [SPLIT_CODES, size, len(stored) - 3]:
        return stored[3:]
    if list(stored[:2]) == [size, len(stored) - 2]:  # of an earlier version: 2 x offset, + 1 where it was held out
        return array("Q", (_entry(entry // 2, "validation" if entry % 2 else "train") for entry in stored[2:]))
    rebuilt, offset = array("Q"), 0
    for number, line in enumerate(opened.rows, start=1):
        row = parse_line(line, f"line {number:,} of `{name}/{ROWS}`")
        if row is not None:
            rebuilt.append(_entry(offset, row.split))
        offset += len(line)
    return rebuilt


@lru_cache(maxsize=SEARCHES_REMEMBERED)
def _matching_entries(folder: Path, sha256: str, words: str, split: Split | None) -> "array[int]":
    """The entries of the rows that hold the words. A version never changes, so it is searched once for them."""
    needle = words.casefold()
    json_words = json.dumps(words, ensure_ascii=False)[1:-1].casefold()  # as JSON escapes it
    entries, next_offset = array("Q"), 0
    with open_rows(folder, sha256).rows as source:
        for number, line in enumerate(source, start=1):
            offset, next_offset = next_offset, next_offset + len(line)
            if json_words not in line.decode("utf-8", "replace").casefold():
                continue  # most lines end here, unparsed
            row = parse_line(line, f"line {number:,} of `{folder.name}/{ROWS}`")
            if row is None or split not in (None, row.split):
                continue
            if any(needle in message.content.casefold() for message in row.messages):
                entries.append(_entry(offset, row.split))
    return entries


def _entry(offset: int, split: Split) -> int:
    return SPLIT_CODES * offset + SPLITS.index(split)


def _open_files(rows: Path, index: Path) -> OpenRows:
    source = rows.open("rb")
    try:
        return OpenRows(source, index.read_bytes())
    except FileNotFoundError:
        return OpenRows(source, b"")
