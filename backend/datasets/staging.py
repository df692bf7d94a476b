"""Where an import is built before it appears whole; only leavings of dead importers are swept."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.settings import Workspace

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def staging_folder(workspace: Workspace) -> Iterator[Path]:
    """Give a new folder below `data/.staging`, removed afterwards whatever happens.

    Its name carries who builds in it (pid, start ticks, boot), so that there is no moment without an owner.
    """
    pid = os.getpid()
    path = workspace.staging / f"{pid}-{_start_ticks(pid)}-{_boot()}-{uuid.uuid4().hex}"
    path.mkdir(parents=True, mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep_staging(workspace: Workspace) -> int:
    """Remove what importers that no longer live left behind; returns how many folders that were."""
    if not workspace.staging.is_dir():
        return 0
    dead = [path for path in workspace.staging.iterdir() if not _has_living_owner(path.name)]
    for path in dead:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(dead)


def _has_living_owner(name: str) -> bool:
    pid, _, rest = name.partition("-")
    ticks, _, boot = rest.partition("-")
    if not (pid.isdecimal() and ticks.isdecimal()):
        return False
    return boot.startswith(f"{_boot()}-") and _start_ticks(int(pid)) == int(ticks)


def _start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where there is none. A pid alone may be reused."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(after_name.split()[19])


def _boot() -> str:
    return _BOOT_ID.read_text().strip().replace("-", "")[:8]
