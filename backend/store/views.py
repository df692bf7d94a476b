"""A run as pages and the launcher see it, and the list of all runs, kept in step with the index."""

import json
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from pydantic import ValidationError
from sqlalchemy import RowMapping, select

from backend.ids import RunId
from backend.runs.folder import ACTIVE, TERMINAL, ExitRecord, RunFolder, RunState, read_record
from backend.spec.run import RunSpec
from backend.store.database import BUSY_TIMEOUT_MS, Database
from backend.store.tables import runs

SPECS_REMEMBERED = 1_024  # read once, some 15 kB each: a spec never changes, and every list of runs reads it
MOST_REMEMBERED = 1_000  # removals; who asks for what came before them gets everything
_FINGERPRINT = [column for column in runs.c if column.name != "spec_json"]  # large, and never changes
T = TypeVar("T")


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


class RecordedEvent(NamedTuple):
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


def recorded_event(row: RowMapping) -> RecordedEvent:
    """Make one row of `happenings` plain."""
    return RecordedEvent(row["seq"], row["kind"], row["time"], row["step"], json.loads(row["values_json"]))


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


@dataclass(frozen=True, slots=True)
class ListingEntry(Generic[T]):
    """What is shown of one run."""

    number: int  # order of arrival
    change: int  # the change of the listing that made it so
    value: T


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """The listing at one moment; it never changes."""

    change: int  # counts the changes that were seen
    entries: dict[RunId, ListingEntry[T]]
    removals: tuple[tuple[int, RunId], ...]  # by which change which run was removed, oldest first
    removals_since: int  # removals by this change and earlier ones are forgotten

    def newest_first(self) -> list[ListingEntry[T]]:
        """Every entry, the last run first."""
        return sorted(self.entries.values(), key=lambda entry: -entry.number)


class RunListing(Generic[T]):
    """Keeps `show(view)` of each run for as long as its row stays as it is. Safe to use from many threads."""

    def __init__(self, database: Database, output: Path, show: Callable[[RunView], T]) -> None:
        """Read nothing yet.

        Args:
            database: the index.
            output: where the run folders lie.
            show: what is kept of a run; called again whenever its row has changed.
        """
        self._database, self._output, self._show = database, output, show
        self._lock = threading.Lock()
        self._version_connection: sqlite3.Connection | None = (
            None  # one for good: `data_version` counts for one connection only
        )
        self._version = -1
        self._fingerprints: dict[RunId, tuple[Any, ...]] = {}
        self._snapshot: Snapshot[T] = Snapshot(0, {}, (), 0)

    def snapshot(self) -> Snapshot[T]:
        """The listing as it is now."""
        with self._lock:
            version = self._data_version()  # before the rows: what is committed meanwhile is seen next time
            if version != self._version:
                self._read()
                self._version = version
            return self._snapshot

    def _data_version(self) -> int:
        if self._version_connection is None:
            address = f"{self._database.path.resolve().as_uri()}?mode=ro"
            self._version_connection = sqlite3.connect(
                address, BUSY_TIMEOUT_MS / 1000, uri=True, check_same_thread=False
            )
        return int(self._version_connection.execute("PRAGMA data_version").fetchone()[0])

    def _read(self) -> None:
        with self._database.read() as connection:
            fingerprints = {RunId(row.id): tuple(row) for row in connection.execute(select(*_FINGERPRINT))}
            changed = [run_id for run_id, row in fingerprints.items() if self._fingerprints.get(run_id) != row]
            rows = [
                row
                for start in range(0, len(changed), 500)
                for row in connection.execute(
                    select(runs).where(runs.c.id.in_(changed[start : start + 500]))
                ).mappings()
            ]
        removed = self._fingerprints.keys() - fingerprints.keys()
        self._take([(row["number"], view_of(row, self._output)) for row in rows], removed)
        self._fingerprints = fingerprints

    def _take(self, views: list[tuple[int, RunView]], removed: set[RunId]) -> None:
        before, change = self._snapshot, self._snapshot.change + 1
        fresh = {view.id: ListingEntry(number, change, self._show(view)) for number, view in views}
        fresh = {run_id: entry for run_id, entry in fresh.items() if not _is_same(before.entries.get(run_id), entry)}
        if not fresh and not removed:
            return
        remaining = {run_id: entry for run_id, entry in before.entries.items() if run_id not in removed}
        removals = (*before.removals, *((change, run_id) for run_id in sorted(removed)))
        forgotten = removals[:-MOST_REMEMBERED]
        removals_since = forgotten[-1][0] if forgotten else before.removals_since
        self._snapshot = Snapshot(change, remaining | fresh, removals[-MOST_REMEMBERED:], removals_since)


def _drop(content: Any, path: tuple[int | str, ...]) -> None:
    *parents, last = path or ("",)
    for step in parents:
        content = content.get(step) if isinstance(content, dict) else None
    if isinstance(content, dict):
        content.pop(last, None)


def _is_same(before: ListingEntry[T] | None, now: ListingEntry[T]) -> bool:
    return before is not None and (before.number, before.value) == (now.number, now.value)
