"""A run as pages and the command line see it: one row of the index, made plain."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from sqlalchemy import RowMapping

from backend.ids import RunId
from backend.runs.folder import RunFolder
from backend.runs.records import ACTIVE, TERMINAL, ExitRecord, RunState, read_record
from backend.spec.run import RunSpec

SPECS_REMEMBERED = 1_024  # read once, some 15 kB each: a spec never changes, and every list of runs reads it


@dataclass(frozen=True, slots=True)
class RunView:
    """What is known of one run at one moment. All times are seconds since the epoch."""

    id: RunId
    name: str
    kind: str
    state: RunState
    reason: str  # in words, why it ended as it did; empty where it finished
    hint: str
    notes: str
    spec: RunSpec
    folder: RunFolder
    created_at: float
    started_at: float | None
    ended_at: float | None
    step: int
    total_steps: int  # 0 until the program knows
    seconds_left: float | None
    phase: str
    metrics: dict[str, float | None]  # last value of each; None where it was not finite
    bad_lines: int  # lines of events.jsonl that could not be read
    devices: tuple[str, ...]

    @property
    def is_active(self) -> bool:
        """Whether a process may be at work on it."""
        return self.state in ACTIVE

    @property
    def is_over(self) -> bool:
        """Whether it has ended, one way or another, for good."""
        return self.state in TERMINAL

    @property
    def took_s(self) -> float | None:
        """Seconds it was at work, once it has ended: as its keeper counted them, whom no clock that is set disturbs.

        A run without a keeper's word, a lost one, has only the times that the machine's clock showed.
        """
        if not self.is_over or self.started_at is None or self.ended_at is None:
            return None
        ended = read_record(self.folder.exit, ExitRecord)
        return ended.duration_s if ended is not None else max(0.0, self.ended_at - self.started_at)


class Happening(NamedTuple):
    """A note, checkpoint, sample or end, as the program told it."""

    seq: int
    kind: str
    time: float
    step: int
    values: dict[str, Any]


def view_of(row: RowMapping, output: Path) -> RunView:
    """Make one row of `runs` plain."""
    return RunView(
        id=RunId(row["id"]),
        name=row["name"],
        kind=row["kind"],
        state=cast(RunState, row["state"]),
        reason=row["reason"],
        hint=row["hint"],
        notes=row["notes"],
        spec=readable_spec(row["spec_json"]),
        folder=RunFolder(output / row["id"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        step=row["step"],
        total_steps=row["total_steps"],
        seconds_left=row["seconds_left"],
        phase=row["phase"],
        metrics=json.loads(row["metrics_json"]),
        bad_lines=row["bad_lines"],
        devices=tuple(json.loads(row["devices_json"])),
    )


def happening_of(row: RowMapping) -> Happening:
    """Make one row of `happenings` plain."""
    return Happening(row["seq"], row["kind"], row["time"], row["step"], json.loads(row["values_json"]))


@lru_cache(maxsize=SPECS_REMEMBERED)
def readable_spec(text: str) -> RunSpec:
    """Read a spec; knobs that another version spelled otherwise take their defaults, so that lists stay whole."""
    try:
        return RunSpec.model_validate_json(text)
    except ValidationError as error:
        content = json.loads(text)
        for problem in error.errors():
            _drop(content, problem["loc"])
    try:
        return RunSpec.model_validate(content)
    except ValidationError:
        return RunSpec()


def _drop(content: Any, path: tuple[int | str, ...]) -> None:
    *parents, last = path or ("",)
    for step in parents:
        content = content.get(step) if isinstance(content, dict) else None
    if isinstance(content, dict):
        content.pop(last, None)
