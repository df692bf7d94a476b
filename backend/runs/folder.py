"""A run's folder and the small records in it: who keeps it, how it ended, what was asked of it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.ids import RunId

RunState = Literal["queued", "starting", "running", "stopping", "finished", "failed", "stopped", "lost"]
TerminalState = Literal["finished", "failed", "stopped", "lost"]
StopMode = Literal["save", "now"]
STATES: tuple[RunState, ...] = get_args(RunState)
TERMINAL: tuple[TerminalState, ...] = get_args(TerminalState)
ACTIVE: tuple[RunState, ...] = ("starting", "running", "stopping")
RUN_MARKER = "STUDIO_RUN_ID"  # in the environment of every process of a run
FOLDER_MARKER = "STUDIO_RUN_DIR"  # beside it: two workspaces may hold runs of one name
_CHECKPOINT = re.compile(r"checkpoint-[0-9]{1,15}")


class FileRecord(BaseModel):
    """Rests on disk; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CommandRecord(FileRecord):
    """`command.json`: what was started. The preview shows the same."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str


class ProcessRecord(FileRecord):
    """`process.json`: who runs. A pid alone is no identity: pids are reused."""

    pid: int  # the keeper's child, leader of its session and group
    keeper_pid: int
    keeper_start_ticks: int
    start_ticks: int  # field 22 of /proc/<pid>/stat
    boot_id: str
    devices: tuple[str, ...]
    started_at: float  # seconds since the epoch


class StopRecord(FileRecord):
    """`stop.json`: `save` writes a final model first, `now` does not."""

    mode: StopMode
    asked_at: float


class ExitRecord(FileRecord):
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


R = TypeVar("R", bound=FileRecord)


def read_record(path: Path, kind: type[R]) -> R | None:
    """Read one record; None where the file is missing, torn or of another kind: a pid of `true` or "12" is none."""
    try:
        return kind.model_validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`output/<run-id>/`. Each file has one writer, named beside it."""

    path: Path

    @property
    def run_id(self) -> RunId:
        """The folder's own name."""
        return RunId(self.path.name)

    @property
    def spec(self) -> Path:
        """Studio: written once, before the run is queued."""
        return self.path / "spec.json"

    @property
    def command(self) -> Path:
        """Run manager: argv and environment as started, without secrets."""
        return self.path / "command.json"

    @property
    def process(self) -> Path:
        """Keeper: who runs."""
        return self.path / "process.json"

    @property
    def events(self) -> Path:
        """Program, rank 0 only: what happened, a line each."""
        return self.path / "events.jsonl"

    @property
    def deepspeed(self) -> Path:
        """Studio: generated from the spec."""
        return self.path / "deepspeed.json"

    @property
    def stop(self) -> Path:
        """Run manager: the request to stop."""
        return self.path / "stop.json"

    @property
    def exit(self) -> Path:
        """Keeper: how it ended."""
        return self.path / "exit.json"

    @property
    def ballast(self) -> Path:
        """Keeper: takes the room on the disk that `exit.json` will need; gone once that is there."""
        return self.path / ".ballast"

    @property
    def log(self) -> Path:
        """Program: stdout and stderr."""
        return self.path / "log.txt"

    @property
    def final_model(self) -> Path:
        """Program: always loadable alone; complete once `complete.json` lies in it."""
        return self.path / "final_model"

    @property
    def predictions(self) -> Path:
        """Program, rank 0 only: answers to validation rows."""
        return self.path / "predictions"

    @property
    def completions(self) -> Path:
        """Program, rank 0 only: answers drawn while learning from rewards."""
        return self.path / "completions"

    @property
    def rewards(self) -> Path:
        """Studio: the source of each reward as `<name>.py`, written once, before the run is queued."""
        return self.path / "rewards"

    @property
    def check(self) -> Path:
        """Program: what a dry run of rewards found."""
        return self.path / "check.json"

    @property
    def answers(self) -> Path:
        """Program: what the contestants of an evaluation answered."""
        return self.path / "answers"

    @property
    def report(self) -> Path:
        """Program: what an evaluation found, once every row was answered."""
        return self.path / "report.json"

    @property
    def was_started(self) -> bool:
        """Whether anything in it tells that it, or the folder it is a copy of, was started once."""
        traces = (self.command, self.process, self.events, self.log, self.final_model)
        return any(path.exists() for path in traces) or any(self.path.glob("checkpoint-*"))

    def checkpoints(self) -> list[Path]:
        """The complete checkpoints, by step; the final model is not one of them."""
        try:  # lists look through a thousand runs; a glob takes ten times as long
            with os.scandir(self.path) as entries:
                names = [entry.name for entry in entries if _CHECKPOINT.fullmatch(entry.name)]
        except (FileNotFoundError, NotADirectoryError):  # somebody removed the folder by hand
            return []
        checkpoints = [self.path / name for name in names if (self.path / name / "complete.json").is_file()]
        return sorted(checkpoints, key=lambda path: int(path.name.rsplit("-", 1)[1]))

    @property
    def has_final_model(self) -> bool:
        """Whether training got as far as a whole final model."""
        return os.path.isfile(f"{self.path}/final_model/complete.json")  # noqa: PTH113 - three times as fast
