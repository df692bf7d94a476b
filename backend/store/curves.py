"""The points of a chart: a few at first, thinned so that no spike is lost, and then only what is new."""

import base64
import json
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from backend.ids import RunId
from backend.store.tables import metrics, runs

MAX_POINTS = 2_000  # a series' points in one answer
_BUCKETS = (MAX_POINTS - 2) // 3  # each gives its lowest, its highest and one gap; and the two ends
_HERE = "FROM metrics WHERE run_id = ? AND key = ? AND seq BETWEEN ? AND ?"
_OF_A_BUCKET = (  # in SQLite a bare column beside min() or max() comes from the row that holds the extreme
    f"SELECT seq, step, min(value) {_HERE} AND value IS NOT NULL",
    f"SELECT seq, step, max(value) {_HERE} AND value IS NOT NULL",
    f"SELECT min(seq), step, value {_HERE} AND value IS NULL",
)
_AT = "SELECT seq, step, value FROM metrics WHERE run_id = ? AND key = ? AND seq = ?"


class Point(NamedTuple):
    """One number, as it was reported."""

    seq: int
    step: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One run's part of an answer. `steps` and `values` are of one length, in the order they were reported."""

    run_id: RunId
    steps: list[int]
    values: list[float | None]  # None is a gap: the number was not finite
    is_whole: bool  # draw these instead of what was drawn before, rather than behind it


@dataclass(frozen=True, slots=True)
class Curves:
    """An answer, and the cursor that asks for what comes after it."""

    series: tuple[Series, ...]
    cursor: str


def read_curves(connection: Connection, run_ids: list[RunId], key: str, cursor: str) -> Curves:
    """Read one metric of some runs behind `cursor`.

    Args:
        connection: a reading one.
        run_ids: which runs; unknown ones give no series.
        key: the metric's name, e.g. `loss`.
        cursor: empty at first, then the one of the last answer. Anything else counts as empty.
    """
    seen = _decode(cursor)
    series, positions = [], {}
    for run_id in dict.fromkeys(run_ids):
        epoch = connection.execute(select(runs.c.events_epoch).where(runs.c.id == run_id)).scalar()
        if epoch is None:
            continue
        known_epoch, after = seen.get(f"{run_id}/{key}", (-1, -1))
        is_whole = known_epoch != epoch
        after = -1 if is_whole else after
        points = _points(connection, run_id, key, after)
        series.append(Series(run_id, [point.step for point in points], [point.value for point in points], is_whole))
        positions[f"{run_id}/{key}"] = (epoch, points[-1].seq if points else after)
    return Curves(tuple(series), _encode(positions))


def read_metric_keys(connection: Connection, run_ids: list[RunId]) -> list[str]:
    """Every metric that one of the runs has reported, sorted. Jumps from key to key instead of reading all points."""
    found: set[str] = set()
    jump = text(
        "WITH RECURSIVE known(key) AS (SELECT min(key) FROM metrics WHERE run_id = :run_id UNION ALL"
        " SELECT (SELECT min(key) FROM metrics WHERE run_id = :run_id AND key > known.key) FROM known"
        " WHERE known.key IS NOT NULL) SELECT key FROM known WHERE key IS NOT NULL"
    )
    for run_id in run_ids:
        found |= set(connection.execute(jump, {"run_id": run_id}).scalars())
    return sorted(found)


def _points(connection: Connection, run_id: RunId, key: str, after: int) -> list[Point]:
    """Read the points behind `after`; more than MAX_POINTS are thinned to the extremes of equal buckets."""
    here = (metrics.c.run_id == run_id, metrics.c.key == key, metrics.c.seq > after)
    asked = select(metrics.c.seq, metrics.c.step, metrics.c.value).where(*here).order_by(metrics.c.seq)
    points = [Point(*row) for row in connection.execute(asked.limit(MAX_POINTS + 1))]
    if len(points) <= MAX_POINTS:
        return points
    (last,) = connection.execute(select(func.max(metrics.c.seq)).where(*here)).one()
    return _thinned(connection, run_id, key, (points[0].seq, last))


def _thinned(connection: Connection, run_id: RunId, key: str, extent: tuple[int, int]) -> list[Point]:
    """The lowest, the highest and a gap of each bucket, and both ends.

    The table lies in the order of (run, key, seq), so a bucket is read in one go; one question that groups a million
    rows by their bucket would sort them first, which takes ten times as long.
    """
    first, last = extent
    width = -(-(last - first + 1) // _BUCKETS)
    cursor = connection.connection.cursor()  # the driver's own: two thousand small questions
    kept: set[Point] = set()
    for start in range(first, last + 1, width):
        for question in _OF_A_BUCKET:
            kept.add(Point(*cursor.execute(question, (run_id, key, start, min(start + width - 1, last))).fetchone()))
    kept |= {Point(*cursor.execute(_AT, (run_id, key, end)).fetchone()) for end in extent}
    return sorted((point for point in kept if point.seq is not None), key=lambda point: point.seq)


def _encode(positions: dict[str, tuple[int, int]]) -> str:
    return base64.urlsafe_b64encode(json.dumps(positions, separators=(",", ":")).encode()).decode()


def _decode(cursor: str) -> dict[str, tuple[int, int]]:
    """Read a cursor that came back from a browser: nothing in it is trusted."""
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return {str(name): (int(epoch), max(-1, min(int(seq), 2**53))) for name, (epoch, seq) in content.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
