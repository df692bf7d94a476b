"""Which file holds the rows of which version, and how it is opened while somebody makes another version.

`versions/<sha256>.json` holds one version's rows and never changes; `data.json` is the current version under its usual
name. A dataset that was never changed has no `versions/`. Only `dataset.json` says which version is current.
"""

import contextlib
import hashlib
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

ROWS = "data.json"
INDEX = "data.index"  # 64-bit numbers: size of the rows' file, rows, and for each row 2 x its offset + 1 if held out
VERSIONS = "versions"
_SHA256 = re.compile(r"[0-9a-f]{64}")


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


def is_kept(folder: Path, sha256: str) -> bool:
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
    kept = rows_path(folder, sha256), index_path(folder, sha256)
    if sha256:
        with contextlib.suppress(FileNotFoundError):
            return _opened(*kept)
    found = _opened(folder / ROWS, folder / INDEX)
    if is_kept(folder, sha256):  # it is kept before `data.json` is replaced: what was opened may be the next version
        found.rows.close()
        return _opened(*kept)
    return found


def digest_of(path: Path) -> str:
    """The sha256 of a file. Raises OSError."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _opened(rows: Path, index: Path) -> OpenRows:
    source = rows.open("rb")
    try:
        return OpenRows(source, index.read_bytes())
    except FileNotFoundError:
        return OpenRows(source, b"")
