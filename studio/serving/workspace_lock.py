"""One web server per workspace: a lock that the kernel takes back when its holder dies, however it dies."""

import contextlib
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
        LaunchError: another studio serves this workspace; the message says which process and since when.
    """
    handle = os.open(workspace.output / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaunchError(
                f"Another studio serves `{workspace.root}` already ({_holder(handle)})",
                hint="Use that one, end it with Ctrl-C first, or give this one a folder of its own with --workspace",
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    pid, _, since = os.pread(handle, 100, 0).decode(errors="replace").strip().partition(" ")
    return f"process {pid}, since {since}" if since else "it is just starting"
