"""What the server writes to its log: no token, no cookie, no password, no path of somebody's home.

Gradio and uvicorn print tracebacks themselves, so that this stands where all of it must pass: around stderr.
"""

import io
import re
import sys
import threading
from pathlib import Path
from typing import TextIO

from launcher.logs import redact

_SESSION = re.compile(r"(studio-[0-9a-f]{10}['\"]?\s*[=:]\s*['\"]?)[^\s;,'\"]+")
_FIELD = re.compile(r"(?i)\b(password|token|authorization|cookie)(['\"]?\s*[=:]\s*['\"]?)(?!\s)[^\s&,'\"]+")
_SECRET_NAME = re.compile(r"(?i)(TOKEN|SECRET|PASSWORD|API_KEY)$")
LEAST_SECRET = 8  # characters; a shorter value stands in too many words
MOST_LINE = 1 << 20  # characters without an end that are held back


class RedactedStream(io.TextIOBase):
    """A stream whose lines are cleaned before they reach another one."""

    def __init__(self, sink: TextIO, secrets: tuple[str, ...], home: str) -> None:
        """Write to `sink`; `secrets` are blanked out, `home` is written as `~`."""
        self._sink, self._secrets, self._home = sink, secrets, home
        self._begun, self._lock = "", threading.Lock()

    def write(self, text: str) -> int:
        """Take text; what ends with a line's end goes out."""
        with self._lock:
            whole, end, self._begun = (self._begun + text).rpartition("\n")
            if len(self._begun) > MOST_LINE:
                whole, end, self._begun = whole + end, self._begun, ""
            if whole or end:
                self._sink.write(self.clean(whole + end))
        return len(text)

    def flush(self) -> None:
        """Let what is whole reach the sink's own sink."""
        self._sink.flush()

    def fileno(self) -> int:
        """The sink's."""
        return self._sink.fileno()

    def isatty(self) -> bool:
        """Whether the sink is a terminal."""
        return self._sink.isatty()

    def clean(self, text: str) -> str:
        """One or more lines as they may be read by anybody."""
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        text = _SESSION.sub(r"\1[redacted]", redact(text))
        text = _FIELD.sub(r"\1\2[redacted]", text)
        return text.replace(self._home, "~") if len(self._home) > 1 else text


def redact_stderr(environment: dict[str, str]) -> None:
    """Let whatever this process writes to stderr from now on be cleaned, also of the secrets of its environment."""
    sys.stderr = RedactedStream(sys.stderr, secrets_of(environment), str(Path.home()))


def secrets_of(environment: dict[str, str]) -> tuple[str, ...]:
    """The values of an environment whose names say that they are secret, the longest first."""
    found = {value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= LEAST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))
