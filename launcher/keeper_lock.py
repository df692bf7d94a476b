"""A run's keeper holds a lock on its `keeper.log` while it lives: no run has two, and none is thought dead too early.

Whoever starts a keeper takes the lock and hands it over as the keeper's stdout, so there is no moment without a holder.
The kernel drops the lock with the last process that has it, however that one ends.
"""

import fcntl
import os
import time
from typing import IO

from backend.runs.folder import RunFolder

LOG_NAME = "keeper.log"
_PATIENCE_S = 1.0  # someone who only looks holds it for a moment


def take_lock(folder: RunFolder) -> IO[bytes] | None:
    """Take the lock, on this process' stdout where that is the log already; None where another keeper has it."""
    log = (folder.path / LOG_NAME).open("ab")
    if os.path.sameopenfile(1, log.fileno()):
        log.close()
        log = os.fdopen(os.dup(1), "ab")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return log
        except BlockingIOError:
            if time.monotonic() > deadline:
                log.close()
                return None
            time.sleep(0.02)


def drop_lock(lock: IO[bytes]) -> None:
    """Let go of the lock, also where it is this process' stdout."""
    fcntl.flock(lock, fcntl.LOCK_UN)


def is_locked(folder: RunFolder) -> bool:
    """Tell whether a keeper has the lock, or is being given it."""
    try:
        with (folder.path / LOG_NAME).open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
