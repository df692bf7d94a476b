"""Every run as something is shown of it, kept in step with the index: only rows that changed are read and made anew.

Many pages ask every other second what a thousand runs are doing, and mostly nothing or one run has changed. SQLite
tells a connection whether anybody else has committed since it last asked; where nobody has, no row is read at all.
"""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import select

from backend.ids import RunId
from backend.store.engine import BUSY_TIMEOUT_MS, Database
from backend.store.tables import runs
from backend.store.views import RunView, view_of

MOST_REMEMBERED = 1_000  # removals; who asks for what came before them gets everything
_FINGERPRINT = [column for column in runs.c if column.name != "spec_json"]  # large, and never changes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What is shown of one run."""

    number: int  # order of arrival
    change: int  # the change of the listing that made it so
    shown: T


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """The listing at one moment; it never changes."""

    change: int  # counts the changes that were seen
    entries: dict[RunId, Entry[T]]
    gone: tuple[tuple[int, RunId], ...]  # by which change which run was removed, oldest first
    told_since: int  # removals by this change and earlier ones are forgotten

    def newest_first(self) -> list[Entry[T]]:
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
        self._asker: sqlite3.Connection | None = None  # one for good: what it is told counts for itself only
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
        if self._asker is None:
            address = f"{self._database.path.resolve().as_uri()}?mode=ro"
            self._asker = sqlite3.connect(address, BUSY_TIMEOUT_MS / 1000, uri=True, check_same_thread=False)
        return int(self._asker.execute("PRAGMA data_version").fetchone()[0])

    def _read(self) -> None:
        with self._database.read() as connection:
            found = {RunId(row.id): tuple(row) for row in connection.execute(select(*_FINGERPRINT))}
            changed = [run_id for run_id, row in found.items() if self._fingerprints.get(run_id) != row]
            rows = [
                row
                for start in range(0, len(changed), 500)
                for row in connection.execute(
                    select(runs).where(runs.c.id.in_(changed[start : start + 500]))
                ).mappings()
            ]
        removed = self._fingerprints.keys() - found.keys()
        self._take([(row["number"], view_of(row, self._output)) for row in rows], removed)
        self._fingerprints = found

    def _take(self, views: list[tuple[int, RunView]], removed: set[RunId]) -> None:
        before, change = self._snapshot, self._snapshot.change + 1
        fresh = {view.id: Entry(number, change, self._show(view)) for number, view in views}
        fresh = {run_id: entry for run_id, entry in fresh.items() if not _is_same(before.entries.get(run_id), entry)}
        if not fresh and not removed:
            return
        kept = {run_id: entry for run_id, entry in before.entries.items() if run_id not in removed}
        gone = (*before.gone, *((change, run_id) for run_id in sorted(removed)))
        forgotten = gone[:-MOST_REMEMBERED]
        told_since = forgotten[-1][0] if forgotten else before.told_since
        self._snapshot = Snapshot(change, kept | fresh, gone[-MOST_REMEMBERED:], told_since)


def _is_same(before: Entry[T] | None, now: Entry[T]) -> bool:
    return before is not None and (before.number, before.shown) == (now.number, now.shown)
