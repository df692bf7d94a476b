"""One import while it runs: what it is asked to do, and the folder it is built in before it appears whole."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.problems import ProblemList
from backend.datasets.records import ColumnMapping
from backend.settings import Workspace

Progress = Callable[[float, str], None]  # share done from 0 to 1, and what is being done
DEFAULT_SHARE = 0.1
DEFAULT_SEED = 42
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How an upload is imported."""

    name: str = ""  # empty: made from the upload's own name
    heldout: Path | None = None  # a second upload whose rows are all held out
    heldout_share: float = DEFAULT_SHARE
    seed: int = DEFAULT_SEED
    mapping: ColumnMapping | None = None  # where the layout is not recognised
    strict: bool = False  # import nothing while one row is bad


@dataclass(frozen=True, slots=True)
class Job:
    """One import under way."""

    source: Path
    options: ImportOptions
    room: Path  # its own staging folder
    problems: ProblemList
    tell: Progress

    @property
    def folder(self) -> Path:
        """The dataset as it grows; renamed whole at the end."""
        return self.room / "dataset"

    @property
    def images(self) -> Path:
        """Where its images go."""
        return self.folder / "images"


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
