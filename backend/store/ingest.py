"""Carry `events.jsonl` into the index: by byte offset, in one transaction with its rows, as often as one likes."""

import json
import math
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from backend.ids import RunId
from backend.jsonl import strict_json
from backend.runs.events import Event, read_events
from backend.runs.folder import RunFolder
from backend.store.database import Database
from backend.store.tables import metrics, recorded_events, runs

BATCH_BYTES = 512 << 10  # of lines in one transaction: some 5,000, for which others wait a twentieth of a second
MAX_KEY = 200  # characters of a metric's name
_ADD_POINTS = "INSERT INTO metrics (run_id, key, seq, step, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_LARGEST = 2**53  # a step or seq above this is no count


def ingest(database: Database, folder: RunFolder) -> int:
    """Read what is new in a run's events; return how many there were.

    A file that was replaced or got shorter is read again from its start, and what came from it before is dropped.
    """
    total = 0
    while True:
        new_events, is_more = _ingest_batch(database, folder)
        total += new_events
        if not is_more:
            return total


def _ingest_batch(database: Database, folder: RunFolder) -> tuple[int, bool]:
    """Take in some lines: how many events that were, and whether to look again."""
    try:
        found = folder.events.stat()
    except FileNotFoundError:
        return 0, False
    identity = (found.st_dev, found.st_ino)
    with database.read() as connection:  # most polls find nothing new: they should not take the write lock
        known = _position(connection, folder.run_id)
    if known is None or (known[:2] == identity and known[2] == found.st_size):
        return 0, False
    is_another = (known[0] is not None and known[:2] != identity) or known[2] > found.st_size
    offset = 0 if is_another else known[2]
    batch = read_events(folder.events, offset, BATCH_BYTES)  # parsed before the lock is taken: nobody waits for that
    sane = [happened for happened in batch.events if _is_sane(happened)]
    with database.write() as connection:
        if _position(connection, folder.run_id) != known:
            return 0, True  # somebody else was quicker, or the run was removed
        if is_another:
            _forget(connection, folder.run_id)
        _insert(connection, folder.run_id, sane)
        _advance(connection, folder.run_id, sane)
        connection.execute(
            update(runs)
            .where(runs.c.id == folder.run_id)
            .values(
                events_device=identity[0],
                events_inode=identity[1],
                events_offset=batch.end,
                bad_lines=runs.c.bad_lines + batch.bad_lines + len(batch.events) - len(sane),
            )
        )
    return len(sane), batch.end > offset


def _position(connection: Connection, run_id: RunId) -> tuple[int | None, int | None, int] | None:
    columns = (runs.c.events_device, runs.c.events_inode, runs.c.events_offset)
    row = connection.execute(select(*columns).where(runs.c.id == run_id)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


def _forget(connection: Connection, run_id: RunId) -> None:
    for table in (metrics, recorded_events):
        connection.execute(delete(table).where(table.c.run_id == run_id))
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            events_epoch=runs.c.events_epoch + 1, bad_lines=0, step=0, total_steps=0, seconds_left=None,
            phase="", metrics_json="{}",
        )
    )  # fmt: skip


def _is_sane(happened: Event) -> bool:
    return 0 <= happened.seq <= _LARGEST and 0 <= happened.step <= _LARGEST and math.isfinite(happened.time)


def _insert(connection: Connection, run_id: RunId, events: list[Event]) -> None:
    points = [
        (run_id, key, happened.seq, happened.step, value)
        for happened in events
        if happened.kind == "metric"
        for key, value in _numbers(happened).items()
    ]
    told = [
        {"run_id": run_id, "seq": happened.seq, "kind": happened.kind, "time": happened.time, "step": happened.step,
         "values_json": strict_json(happened.values)}
        for happened in events
        if happened.kind not in ("metric", "progress")
    ]  # fmt: skip
    if points:
        connection.exec_driver_sql(_ADD_POINTS, points)
    if told:
        connection.execute(insert(recorded_events).on_conflict_do_nothing(), told)


def _advance(connection: Connection, run_id: RunId, events: list[Event]) -> None:
    """Bring the run's own row up to its last event; the first event says that the program is at work."""
    if not events:
        return
    row = connection.execute(select(runs.c.metrics_json).where(runs.c.id == run_id)).one()
    last_values: dict[str, float | None] = json.loads(row.metrics_json)
    changes: dict[str, Any] = {"step": max(happened.step for happened in events)}
    for happened in events:
        if happened.kind == "metric":
            last_values |= _numbers(happened)
        elif happened.kind == "progress":
            changes |= _progress(happened)
    this_run = update(runs).where(runs.c.id == run_id)
    connection.execute(this_run.values(metrics_json=strict_json(last_values), **changes))
    connection.execute(this_run.where(runs.c.state == "starting").values(state="running"))


def _numbers(happened: Event) -> dict[str, float | None]:
    """The metric's values by name: numbers, or None where one was not finite. Anything else is left out."""
    found: dict[str, float | None] = {}
    for key, value in happened.values.items():
        name = key.encode("utf-8", "replace").decode()[:MAX_KEY]
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            found[name] = _finite(value)
    return found


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _progress(happened: Event) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    total = _finite(happened.values.get("total_steps"))
    if total is not None and 0 <= total <= _LARGEST:
        changes["total_steps"] = int(total)
    if "seconds_left" in happened.values:
        changes["seconds_left"] = _finite(happened.values["seconds_left"])
    if isinstance(happened.values.get("phase"), str):
        changes["phase"] = happened.values["phase"].encode("utf-8", "replace").decode()[:MAX_KEY]
    return changes
