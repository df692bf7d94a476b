"""The points of a chart: a few at first, thinned so that no spike is lost, and then only what is new."""

import base64
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, text

from backend.ids import RunId
from backend.store.tables import metrics, runs

MAX_POINTS = 2_000  # a series' points in one answer
MOST_CURVES = 32  # long ones whose buckets are remembered, some 300 kB each
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


class BucketCache:
    """The buckets of long curves that are full: they never change, so they are read once. Safe to use from threads."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[_CurveKey, _Buckets] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, curve: "_CurveKey") -> "_Buckets":
        """What is known of one curve; a few curves are remembered."""
        with self._lock:
            buckets = self._buckets.setdefault(curve, _Buckets())
            self._buckets.move_to_end(curve)
            if len(self._buckets) > MOST_CURVES:
                self._buckets.popitem(last=False)
            return buckets


class _CurveKey(NamedTuple):
    """One metric of one run, cut into buckets of one width."""

    run_id: RunId
    key: str
    epoch: int
    width: int


class _Buckets:
    def __init__(self) -> None:
        self.full: dict[int, tuple[Point, ...]] = {}
        self.lock = threading.Lock()  # of several who ask for one curve at once, one reads it


def read_curves(connection: Connection, thinned: BucketCache, run_ids: list[RunId], key: str, cursor: str) -> Curves:
    """Read one metric of some runs behind `cursor`.

    Args:
        connection: a reading one.
        thinned: what is remembered of long curves.
        run_ids: which runs; unknown ones give no series.
        key: the metric's name, e.g. `loss`.
        cursor: empty at first, then the one of the last answer. Anything else counts as empty.
    """
    positions_before = _decode(cursor)
    series, positions = [], {}
    for run_id in dict.fromkeys(run_ids):
        epoch = connection.execute(select(runs.c.events_epoch).where(runs.c.id == run_id)).scalar()
        if epoch is None:
            continue
        epoch_before, after = positions_before.get(f"{run_id}/{key}", (-1, -1))
        is_whole = epoch_before != epoch
        after = -1 if is_whole else after
        points = _points(connection, thinned, (run_id, key, epoch), after)
        series.append(Series(run_id, [point.step for point in points], [point.value for point in points], is_whole))
        positions[f"{run_id}/{key}"] = (epoch, points[-1].seq if points else after)
    return Curves(tuple(series), _encode(positions))


def read_metric_keys(connection: Connection, run_ids: list[RunId]) -> list[str]:
    """Every metric that one of the runs has reported, sorted. Jumps from key to key instead of reading all points."""
    keys: set[str] = set()
    jump = text(
        "WITH RECURSIVE known(key) AS (SELECT min(key) FROM metrics WHERE run_id = :run_id UNION ALL"
        " SELECT (SELECT min(key) FROM metrics WHERE run_id = :run_id AND key > known.key) FROM known"
        " WHERE known.key IS NOT NULL) SELECT key FROM known WHERE key IS NOT NULL"
    )
    for run_id in run_ids:
        keys |= set(connection.execute(jump, {"run_id": run_id}).scalars())
    return sorted(keys)


def _points(connection: Connection, thinned: BucketCache, curve: tuple[RunId, str, int], after: int) -> list[Point]:
    """Read the points behind `after`; more than MAX_POINTS are thinned to the extremes of equal buckets."""
    run_id, key, epoch = curve
    here = (metrics.c.run_id == run_id, metrics.c.key == key, metrics.c.seq > after)
    query = select(metrics.c.seq, metrics.c.step, metrics.c.value).where(*here).order_by(metrics.c.seq)
    points = [Point(*row) for row in connection.execute(query.limit(MAX_POINTS + 1))]
    if len(points) <= MAX_POINTS:
        return points
    (last,) = connection.execute(select(func.max(metrics.c.seq)).where(*here)).one()
    first, width = points[0].seq, 1
    while last // width - first // width >= _BUCKETS:
        width *= 2  # so that a growing curve keeps its buckets for a while
    return _thinned(connection, thinned, _CurveKey(run_id, key, epoch, width), (first, last))


def _thinned(connection: Connection, thinned: BucketCache, curve: _CurveKey, extent: tuple[int, int]) -> list[Point]:
    """The lowest, the highest and a gap of each bucket, and both ends.

    The table lies in the order of (run, key, seq), so a bucket is read in one go; one question that groups a million
    rows by their bucket would sort them first.
    """
    (first, last), width = extent, curve.width
    cursor = connection.connection.cursor()  # the driver's own: some thousand small questions
    buckets = thinned.of(curve)
    points = {Point(*cursor.execute(_AT, (curve.run_id, curve.key, end)).fetchone()) for end in extent}
    with buckets.lock:
        for bucket in range(first // width, last // width + 1):
            start, end = bucket * width, bucket * width + width - 1
            extremes = buckets.full.get(bucket) if first <= start else None  # of a part of it the extremes are others
            if extremes is None:
                extremes = _extremes(cursor, curve, (max(start, first), min(end, last)))
                if end < last and first <= start:
                    buckets.full[bucket] = extremes
            points |= {point for point in extremes if point.seq >= first}
    return sorted(points, key=lambda point: point.seq)


def _extremes(cursor: Any, curve: _CurveKey, extent: tuple[int, int]) -> tuple[Point, ...]:
    rows = [cursor.execute(query, (curve.run_id, curve.key, *extent)).fetchone() for query in _OF_A_BUCKET]
    return tuple(Point(*row) for row in rows if row[0] is not None)


def _encode(positions: dict[str, tuple[int, int]]) -> str:
    return base64.urlsafe_b64encode(json.dumps(positions, separators=(",", ":")).encode()).decode()


def _decode(cursor: str) -> dict[str, tuple[int, int]]:
    """Read a cursor that came back from a browser: nothing in it is trusted."""
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return {str(name): (int(epoch), max(-1, min(int(seq), 2**53))) for name, (epoch, seq) in content.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
