"""Write files so that a cut-off leaves the old or the new, and lines so that a torn one harms no other."""

import errno
import json
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class RawLine(NamedTuple):
    """One whole line of a file, and the byte offset just behind it."""

    raw: bytes
    end: int


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replace `path` by `content` through a synced temporary file in the same folder.

    Args:
        path: of the file.
        content: all of it.
        mode: who may read and write it, less what the process's umask takes away; it holds from the first byte on.

    Raises:
        OSError: the disk refuses; the old file is untouched and the temporary one is removed.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    partial.unlink(missing_ok=True)  # of a killed process with this one's number, and perhaps of another mode
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def append_line(handle: int, line: bytes) -> None:
    """Append one line with one write; a torn line that lies before it is closed first, so that it cannot eat this one.

    Args:
        handle: of a file that is open for reading and appending.
        line: without its end.

    Raises:
        OSError: the disk refuses, be it the last bytes only: a full disk takes what fits and does not complain.
    """
    size = os.fstat(handle).st_size
    is_torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
    content = b"\n" * is_torn + line + b"\n"
    if os.write(handle, content) < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def all_lines(path: Path) -> Iterator[bytes]:
    """Every whole line of a file, in order; none where there is no such file."""
    offset, is_there = 0, path.is_file()
    while is_there:
        start = offset
        for line in lines_from(path, offset):
            offset = line.end
            yield line.raw
        is_there = offset > start


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def strict_json(value: Any) -> str:
    """Encode as JSON that every browser reads: NaN and infinities become null, lone surrogates become `?`."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:  # which few values need
        text = json.dumps(_with_finite_floats(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _with_finite_floats(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _with_finite_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_finite_floats(item) for item in value]
    return value


def lines_from(path: Path, offset: int = 0, limit_bytes: int = 8 << 20) -> Iterator[RawLine]:
    r"""Yield the complete lines of `path` after `offset`, about `limit_bytes` of them at most; a torn last line waits.

    Lines end at b"\n" only: `str.splitlines` would also split at U+2028 inside a JSON string.
    """
    with path.open("rb") as source:
        source.seek(offset)
        chunk = source.read(limit_bytes)
        while chunk and not chunk.endswith(b"\n") and b"\n" not in chunk:
            more = source.read(limit_bytes)
            if not more:
                return
            chunk += more
    end = chunk.rfind(b"\n") + 1
    position = offset
    for raw in chunk[:end].split(b"\n")[:-1]:
        position += len(raw) + 1
        yield RawLine(raw, position)
