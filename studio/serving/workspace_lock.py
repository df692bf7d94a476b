"""One web server per workspace: a lock that the kernel takes back when its holder dies, however it dies."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from backend.errors import LaunchError
from backend.settings import Workspace

LOCK = "studio.lock"


@contextlib.contextmanager
def workspace_lock(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace for one web server. Runs and commands do not need it.

    Raises:
        LaunchError: another studio serves this workspace; the message says which process and since when. Or the disk
            refuses.
    """
    with told(workspace):
        handle = os.open(workspace.output / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaunchError(
                f"Another studio serves `{workspace.root}` already ({_holder(handle)})",
                hint="Use that one, end it with Ctrl-C first, or give this one a folder of its own with --workspace",
            ) from error
        with told(workspace):
            line = f"{os.getpid()} {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode()
            os.pwrite(handle, line, 0)  # over the line of an earlier one, which takes no more room on a full disk
            os.ftruncate(handle, len(line))
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def told(workspace: Workspace) -> Iterator[None]:
    """Say in words what the disk refuses. Raises LaunchError."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LaunchError(
            f"The workspace `{workspace.root}` cannot be written: {error.strerror}",
            hint=("Free some space there, or choose" if is_full else "Choose")
            + " a folder of your own with --workspace",
        ) from error


def _holder(handle: int) -> str:
    pid, _, since = os.pread(handle, 100, 0).decode(errors="replace").strip().partition(" ")
    return f"process {pid}, since {since}" if since else "it is just starting"
