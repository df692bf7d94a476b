"""A run's log: kept short on disk, read from its end, shown without secrets."""

import re
from pathlib import Path

TAIL_BYTES = 256 << 10  # read for a person, whatever the log's size
CUT_NOTE = b"[earlier lines were removed: the log had grown too long]\n"
_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SECRET = re.compile(r"\b(hf_|sk-|sk_|ghp_|github_pat_|xox[bp]-)[A-Za-z0-9_-]{8,}")


def read_tail(path: Path, lines: int, max_bytes: int = TAIL_BYTES) -> str:
    """Return the last `lines` lines as a person should see them; empty where there is no log. Cost: `max_bytes`."""
    content = read_end(path, max_bytes)
    return "\n".join(_rendered(line) for line in content.rstrip("\n").split("\n")[-lines:])


def read_end(path: Path, max_bytes: int, start: int = 0) -> str:
    """Return the last `max_bytes` bytes behind `start` as text, from the beginning of a line where there is one."""
    try:
        return _end_of(path, max_bytes, start).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def keep_short(path: Path, max_bytes: int) -> bool:
    """Cut a log over `max_bytes` down to its last half; tell whether it was.

    The program goes on writing meanwhile, and at the file's end, since it has it open for append. What it writes in the
    moment of the cut may be lost. The end is copied to the beginning before the rest goes: the file is never empty, and
    nothing that the program writes comes before the note.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return False
        content = CUT_NOTE + _end_of(path, max_bytes // 2)
        with path.open("r+b") as log:
            log.write(content)
            log.flush()
            log.truncate(len(content))
    except OSError:  # a full disk: the next look tries again
        return False
    return True


def redact(text: str) -> str:
    """Blank out what looks like an access token."""
    return _SECRET.sub(lambda match: f"{match[1]}[redacted]", text)


def _end_of(path: Path, max_bytes: int, start: int = 0) -> bytes:
    with path.open("rb") as source:
        size = source.seek(0, 2)
        begin = max(start, size - max_bytes)
        source.seek(begin)
        content = source.read(max_bytes)
    if begin > start and b"\n" in content:
        content = content[content.index(b"\n") + 1 :]
    return content


def _rendered(line: str) -> str:
    """One line as a terminal would leave it: the last state of a progress bar, no colours, no control characters."""
    visible = _ANSI.sub("", line).rstrip("\r")
    return redact(_CONTROL.sub("", visible.rsplit("\r", 1)[-1]))
