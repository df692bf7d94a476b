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
        file_stat = folder.events.stat()
    except FileNotFoundError:
        return 0, False
    identity = (file_stat.st_dev, file_stat.st_ino)
    with database.read() as connection:  # most polls find nothing new: they should not take the write lock
        position = _position(connection, folder.run_id)
    if position is None or (position[:2] == identity and position[2] == file_stat.st_size):
        return 0, False
    is_another = (position[0] is not None and position[:2] != identity) or position[2] > file_stat.st_size
    offset = 0 if is_another else position[2]
    batch = read_events(folder.events, offset, BATCH_BYTES)  # parsed before the lock is taken: nobody waits for that
    sane = [event for event in batch.events if _is_sane(event)]
    with database.write() as connection:
        if _position(connection, folder.run_id) != position:
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
            events_epoch=runs.c.events_epoch + 1,
            bad_lines=0,
            step=0,
            total_steps=0,
            seconds_left=None,
            phase="",
            metrics_json="{}",
        )
    )


def _is_sane(event: Event) -> bool:
    return 0 <= event.seq <= _LARGEST and 0 <= event.step <= _LARGEST and math.isfinite(event.time)


def _insert(connection: Connection, run_id: RunId, events: list[Event]) -> None:
    points = [
        (run_id, key, event.seq, event.step, value)
        for event in events
        if event.kind == "metric"
        for key, value in _numbers(event).items()
    ]
    rows = [
        {
            "run_id": run_id,
            "seq": event.seq,
            "kind": event.kind,
            "time": event.time,
            "step": event.step,
            "values_json": strict_json(event.values),
        }
        for event in events
        if event.kind not in ("metric", "progress")
    ]
    if points:
        connection.exec_driver_sql(_ADD_POINTS, points)
    if rows:
        connection.execute(insert(recorded_events).on_conflict_do_nothing(), rows)


def _advance(connection: Connection, run_id: RunId, events: list[Event]) -> None:
    """Bring the run's own row up to its last event; the first event says that the program is at work."""
    if not events:
        return
    row = connection.execute(select(runs.c.metrics_json).where(runs.c.id == run_id)).one()
    last_values: dict[str, float | None] = json.loads(row.metrics_json)
    changes: dict[str, Any] = {"step": max(event.step for event in events)}
    for event in events:
        if event.kind == "metric":
            last_values |= _numbers(event)
        elif event.kind == "progress":
            changes |= _progress(event)
    this_run = update(runs).where(runs.c.id == run_id)
    connection.execute(this_run.values(metrics_json=strict_json(last_values), **changes))
    connection.execute(this_run.where(runs.c.state == "starting").values(state="running"))


def _numbers(event: Event) -> dict[str, float | None]:
    """The metric's values by name: numbers, or None where one was not finite. Anything else is left out."""
    numbers: dict[str, float | None] = {}
    for key, value in event.values.items():
        name = key.encode("utf-8", "replace").decode()[:MAX_KEY]
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            numbers[name] = _finite(value)
    return numbers


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _progress(event: Event) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    total = _finite(event.values.get("total_steps"))
    if total is not None and 0 <= total <= _LARGEST:
        changes["total_steps"] = int(total)
    if "seconds_left" in event.values:
        changes["seconds_left"] = _finite(event.values["seconds_left"])
    if isinstance(event.values.get("phase"), str):
        changes["phase"] = event.values["phase"].encode("utf-8", "replace").decode()[:MAX_KEY]
    return changes
