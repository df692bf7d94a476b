"""What the keeper and the launcher write into a run folder, and the states a run may be in."""

from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

RunState = Literal["queued", "starting", "running", "stopping", "finished", "failed", "stopped", "lost"]
TerminalState = Literal["finished", "failed", "stopped", "lost"]
StopMode = Literal["save", "now"]

STATES: tuple[RunState, ...] = get_args(RunState)
TERMINAL: tuple[TerminalState, ...] = get_args(TerminalState)
ACTIVE: tuple[RunState, ...] = ("starting", "running", "stopping")
RUN_MARKER = "STUDIO_RUN_ID"  # in the environment of every process of a run
FOLDER_MARKER = "STUDIO_RUN_DIR"  # beside it: two workspaces may hold runs of one name


class Record(BaseModel):
    """Rests on disk; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CommandRecord(Record):
    """`command.json`: what was started. The preview shows the same."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str


class ProcessRecord(Record):
    """`process.json`: who runs. A pid alone is no identity: pids are reused."""

    pid: int  # the keeper's child, leader of its session and group
    keeper_pid: int
    keeper_start_ticks: int
    start_ticks: int  # field 22 of /proc/<pid>/stat
    boot_id: str
    devices: tuple[str, ...]
    started_at: float  # seconds since the epoch


class StopRecord(Record):
    """`stop.json`: `save` writes a final model first, `now` does not."""

    mode: StopMode
    asked_at: float


class ExitRecord(Record):
    """`exit.json`: how it ended, as far as the keeper could see."""

    raw_status: int | None  # as os.waitpid gives it; None where the child was never started
    exit_code: int | None
    signal: str | None
    duration_s: float
    peak_memory_bytes: int
    state: TerminalState
    reason: str  # in words, empty where it finished
    hint: str
    ended_at: float


R = TypeVar("R", bound=Record)


def read_record(path: Path, kind: type[R]) -> R | None:
    """Read one record; None where the file is missing, torn or of another kind: a pid of `true` or "12" is none."""
    try:
        return kind.model_validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None
