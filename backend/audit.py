"""Who did what: one line for each act that changes something, in `output/audit.jsonl`."""

import contextlib
import getpass
import json
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from backend.jsonl import all_lines, append_line, strict_json
from backend.settings import Workspace

# the account that an act of this thread belongs to; the web app sets it for each event
ACTOR: ContextVar[str] = ContextVar("actor", default="")
FILE = "audit.jsonl"


def audit(workspace: Workspace, act: str, subject: str, **details: str) -> None:
    """Write down one act. A disk that refuses must not undo what was done, so that is passed over.

    Args:
        workspace: where the act happened.
        act: in two words with a dot between, e.g. `run.start`, `reward.save`, `login.fail`.
        subject: what was acted on, e.g. a run's id.
        details: further texts, e.g. a sha256.
    """
    line = {"time": round(time.time(), 3), "who": ACTOR.get() or system_user(), "act": act, "subject": subject}
    with suppress(OSError):
        handle = os.open(workspace.output / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            append_line(handle, strict_json(line | details).encode())
        finally:
            os.close(handle)


@contextlib.contextmanager
def acting(who: str) -> Iterator[None]:
    """Let what happens inside be this account's."""
    token = ACTOR.set(who)
    try:
        yield
    finally:
        ACTOR.reset(token)


def acts(workspace: Workspace, last: int) -> list[dict[str, Any]]:
    """Give the last acts that were written down, oldest first; a line that cannot be read is left out."""
    lines: deque[bytes] = deque(all_lines(workspace.output / FILE), maxlen=last)
    found = []
    for line in lines:
        with suppress(ValueError):
            act = json.loads(line)
            if isinstance(act, dict):
                found.append(act)
    return found


def system_user() -> str:
    """Name the user of the operating system, for acts at the command line."""
    try:
        return f"{getpass.getuser()} (this machine)"
    except (KeyError, OSError):
        return f"user {os.getuid()} (this machine)"
