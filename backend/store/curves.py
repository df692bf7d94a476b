"""The points of a chart: a few at first, thinned so that no spike is lost, and then only what is new."""

import base64
import json
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from backend.ids import RunId
from backend.store.tables import metrics, runs

MAX_POINTS = 2_000  # a series' points in one answer
_BUCKETS = (MAX_POINTS - 2) // 3  # each gives its lowest, its highest and one gap; and the two ends


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
        series.append(Series(run_id, [step for _, step, _ in points], [value for _, _, value in points], is_whole))
        positions[f"{run_id}/{key}"] = (epoch, points[-1][0] if points else after)
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


def _points(connection: Connection, run_id: RunId, key: str, after: int) -> list[tuple[int, int, float | None]]:
    """Read (seq, step, value) behind `after`; more than MAX_POINTS are thinned to the extremes of equal buckets."""
    here = (metrics.c.run_id == run_id, metrics.c.key == key, metrics.c.seq > after)
    columns = (metrics.c.seq, metrics.c.step, metrics.c.value)
    extent = select(func.count(), func.min(metrics.c.seq), func.max(metrics.c.seq)).where(*here)
    count, first, last = connection.execute(extent).one()
    if count <= MAX_POINTS:
        rows = connection.execute(select(*columns).where(*here).order_by(metrics.c.seq))
        return [(row.seq, row.step, row.value) for row in rows]
    bucket = (metrics.c.seq - first) * _BUCKETS // (last - first + 1)
    kept: dict[int, tuple[int, float | None]] = {}
    # in SQLite a bare column beside min() or max() comes from the row that holds the extreme
    for extreme in (func.min(metrics.c.value), func.max(metrics.c.value)):
        found = select(metrics.c.seq, metrics.c.step, extreme.label("value")).where(*here).group_by(bucket)
        kept |= {
            row.seq: (row.step, row.value) for row in connection.execute(found.where(metrics.c.value.is_not(None)))
        }
    gaps = select(func.min(metrics.c.seq).label("seq"), metrics.c.step, metrics.c.value).where(*here).group_by(bucket)
    kept |= {row.seq: (row.step, None) for row in connection.execute(gaps.where(metrics.c.value.is_(None)))}
    ends = select(*columns).where(*here[:2], metrics.c.seq.in_((first, last)))
    kept |= {row.seq: (row.step, row.value) for row in connection.execute(ends)}
    return [(seq, step, value) for seq, (step, value) in sorted(kept.items())]


def _encode(positions: dict[str, tuple[int, int]]) -> str:
    return base64.urlsafe_b64encode(json.dumps(positions, separators=(",", ":")).encode()).decode()


def _decode(cursor: str) -> dict[str, tuple[int, int]]:
    """Read a cursor that came back from a browser: nothing in it is trusted."""
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return {str(name): (int(epoch), max(-1, min(int(seq), 2**53))) for name, (epoch, seq) in content.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
