"""D5, S8: few points, none of the spikes lost, and then only what is new."""

import random

from store_lab import RUN, add_run, curve, write_losses

from backend.settings import Workspace
from backend.store.curves import MAX_POINTS
from backend.store.runs import RunStore


def test_d5_many_points_are_thinned_with_their_extremes_and_ends(store: RunStore) -> None:
    folder = add_run(store)
    chance = random.Random(1)
    losses = [chance.random() for _ in range(9000)]
    losses[1234], losses[5678], losses[7000] = 50.0, -50.0, float("nan")
    write_losses(folder.events, losses)
    store.ingest(folder)

    points = curve(store)

    assert 1000 < len(points) <= MAX_POINTS
    assert {(1235, 50.0), (5679, -50.0), (7001, None), (1, losses[0]), (9000, losses[-1])} <= set(points)
    assert points == sorted(points, key=lambda point: point[0])


def test_d5_a_long_curve_that_grows_is_told_whole_and_as_an_index_tells_that_never_told_it(
    workspace: Workspace, store: RunStore
) -> None:
    folder, chance = add_run(store), random.Random(2)
    cursor, told = "", []
    for number, count in enumerate((3000, 700, 9000, 1)):
        losses = [chance.gauss(0, 1) for _ in range(count)]
        losses[count // 2] = float("nan") if number % 2 else 1000.0 + number
        write_losses(folder.events, losses, first_step=1 + sum(len(each) for each in told))
        told.append(losses)
        store.ingest(folder)
        whole, later = store.curves([RUN], "loss"), store.curves([RUN], "loss", cursor)
        fresh = RunStore(workspace)
        assert whole == fresh.curves([RUN], "loss")
        fresh.close()
        cursor = later.cursor
        (part,) = later.series
        assert len(part.steps) == min(count, len(part.steps)) <= MAX_POINTS
        assert part.steps[-1] == whole.series[0].steps[-1] == sum(len(each) for each in told)

    values = dict(curve(store))
    assert {1000.0, 1002.0} <= set(values.values())
    assert values[3000 + 350 + 1] is None
    assert len(values) <= MAX_POINTS


def test_a_bucket_that_is_full_is_read_once(store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [1.0] * 6000)
    store.ingest(folder)
    first, asked = curve(store), []
    for pooled in (store._database.reader.raw_connection(),):
        pooled.driver_connection.set_trace_callback(asked.append)
        pooled.close()

    again = curve(store)

    assert again == first
    assert 0 < len(asked) < 40  # not three for each of the buckets


def test_only_new_points_travel_after_the_first_answer(store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [3.0, 2.0])
    store.ingest(folder)
    first = store.curves([RUN], "loss")

    write_losses(folder.events, [1.0], first_step=3)
    store.ingest(folder)
    second = store.curves([RUN], "loss", first.cursor)
    third = store.curves([RUN], "loss", second.cursor)

    assert [(one.is_whole, one.steps) for answer in (first, second, third) for one in answer.series] == [
        (True, [1, 2]),
        (False, [3]),
        (False, []),
    ]


def test_another_metric_or_a_new_run_starts_whole(store: RunStore) -> None:
    folder, other = add_run(store), add_run(store, "other")
    for one in (folder, other):
        write_losses(one.events, [1.0])
        store.ingest(one)
    cursor = store.curves([RUN], "loss").cursor

    both = store.curves([RUN, "other", "unknown"], "loss", cursor)
    rate = store.curves([RUN], "rate", cursor)

    assert [(one.run_id, one.is_whole, one.steps) for one in both.series] == [(RUN, False, []), ("other", True, [1])]
    assert [(one.is_whole, one.steps) for one in rate.series] == [(True, [])]


def test_a_cursor_that_was_tampered_with_counts_as_none(store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [1.0])
    store.ingest(folder)
    whole = store.curves([RUN], "loss").series

    for cursor in ("garbage", "W10=", "eyJ4IjogMX0=", "\ud800", "e30=", "A" * 5000):
        assert store.curves([RUN], "loss", cursor).series == whole


def test_metric_names_are_listed_once(store: RunStore) -> None:
    from backend.runs.events import EventWriter

    folder, other = add_run(store), add_run(store, "other")
    for one, names in ((folder, ("loss", "rate")), (other, ("loss", "accuracy"))):
        writer = EventWriter(one.events)
        for step in range(3):
            writer.write("metric", step, **dict.fromkeys(names, 1.0))
        writer.close()
        store.ingest(one)

    assert store.metric_keys([RUN]) == ["loss", "rate"]
    assert store.metric_keys([RUN, "other"]) == ["accuracy", "loss", "rate"]
    assert store.metric_keys(["unknown"]) == []
