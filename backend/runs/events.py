"""`events.jsonl`: what a program says while it runs, one whole line at a time; and how a program follows its folder."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from backend.errors import StudioError
from backend.jsonl import append_line, lines_from, strict_json
from backend.runs.folder import RunFolder

EventKind = Literal["metric", "progress", "checkpoint", "sample", "note", "end"]
VERSION = 1
MAX_LINE_BYTES = 1 << 20
READ_BYTES = 8 << 20  # about so much of a file at once
MAX_DEPTH = 16  # of what stands in `values`; more would take the stack of whoever writes it on
_KINDS = get_args(EventKind)
STUDIO_ERROR_CODE = 3


class Event(NamedTuple):
    """One line. `values` of a metric are numbers or None (not finite)."""

    seq: int
    time: float  # seconds since the epoch
    kind: EventKind
    step: int
    values: dict[str, Any]


class EventBatch(NamedTuple):
    """What one reading gave."""

    events: list[Event]
    end: int  # byte offset behind the last whole line read
    bad_lines: int


class EventWriter:
    """Appends events; the one writer of its file.

    Each line is a single write, so readers never see half of one unless the disk itself cut it.
    """

    def __init__(self, path: Path) -> None:
        """Open `path` for append, and close a torn last line so that it cannot eat the next one."""
        self._handle = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            os.write(self._handle, b"\n")
        self._seq = max((event.seq for event in read_all(path)), default=0) if size else 0

    def write(self, kind: EventKind, step: int, /, **values: Any) -> None:
        """Append one event. Raises OSError where the disk refuses; the events written later are whole all the same."""
        self._seq += 1
        line: dict[str, Any] = {"v": VERSION, "seq": self._seq, "t": round(time.time(), 3), "kind": kind, "step": step}
        lost = [name for name, value in values.items() if isinstance(value, float) and value - value != 0]
        if lost:
            line["nonfinite"] = lost
        append_line(self._handle, strict_json(line | {"values": values}).encode())

    def close(self) -> None:
        """Release the file."""
        os.close(self._handle)


def read_events(path: Path, offset: int = 0, limit_bytes: int = READ_BYTES) -> EventBatch:
    """Read the whole lines behind `offset`, about `limit_bytes` of them; others than events are counted and skipped."""
    if not path.is_file():
        return EventBatch([], offset, 0)
    events, end, bad = [], offset, 0
    for line in lines_from(path, offset, limit_bytes):
        end = line.end
        event = _parse(line.raw)
        if event is not None:
            events.append(event)
        elif line.raw.strip():
            bad += 1
    return EventBatch(events, end, bad)


def read_all(path: Path) -> list[Event]:
    """Every event of a file, in order."""
    events: list[Event] = []
    offset = 0
    while True:
        batch = read_events(path, offset)
        events += batch.events
        if batch.end == offset:
            return events
        offset = batch.end


def run_to_end(act: Callable[[RunFolder, EventWriter], None]) -> int:
    """Act on the folder that is the program's only argument. Returns the exit code.

    A StudioError ends with its message as the last lines of the log, no traceback.
    """
    folder = RunFolder(Path(sys.argv[-1]).resolve())
    events = EventWriter(folder.events)
    try:
        act(folder, events)
    except StudioError as error:
        events.write("note", 0, level="error", text=error.message, hint=error.hint)
        sys.stderr.write(f"StudioError: {error.message}\nhint: {error.hint}\n")
        return STUDIO_ERROR_CODE
    finally:
        events.close()
    return 0


def _parse(raw: bytes) -> Event | None:
    if len(raw) > MAX_LINE_BYTES:
        return None
    try:
        line = json.loads(raw, parse_constant=_refuse)
        if line["v"] != VERSION or line["kind"] not in _KINDS or not isinstance(line["values"], dict):
            return None
        if not _is_shallow(line["values"], MAX_DEPTH):
            return None
        return Event(int(line["seq"]), float(line["t"]), line["kind"], int(line["step"]), line["values"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _is_shallow(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in inner if isinstance(each, dict | list))


def _refuse(token: str) -> None:
    raise ValueError(token)
