"""S5 to S9: what events.jsonl says arrives once and whole, whatever happens to the file."""

import errno
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event
from store_lab import RUN, add_run, curve, write_losses

from backend.runs.events import EventWriter
from backend.settings import ROOT, Workspace
from backend.store.runs import RunStore


def test_s5_a_tail_torn_at_any_byte_loses_nothing_whole(workspace: Workspace, store: RunStore, tmp_path: Path) -> None:
    whole = tmp_path / "events.jsonl"
    write_losses(whole, [3.0, 2.0, 1.0])
    content = whole.read_bytes()
    first_end = content.index(b"\n") + 1

    for cut in range(first_end, len(content) + 1):
        run_id = f"cut-{cut}"
        folder = add_run(store, run_id)
        folder.events.write_bytes(content[:cut])
        store.ingest(folder)
        complete = content[:cut].count(b"\n")
        assert [step for step, _ in curve(store, run_id)] == list(range(1, complete + 1))

        write_losses(folder.events, [0.5], first_step=9)  # a program that goes on closes the torn line first
        store.ingest(folder)
        assert curve(store, run_id)[-1] == (9, 0.5)


def test_s6_reading_twice_changes_nothing(store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [2.0, 1.0])

    counts = [store.ingest(folder), store.ingest(folder)]

    assert counts == [2, 0]
    assert curve(store) == [(1, 2.0), (2, 1.0)]


def test_s6_rows_and_offset_are_one_transaction(workspace: Workspace, store: RunStore, monkeypatch) -> None:
    folder = add_run(store)
    write_losses(folder.events, [2.0, 1.0])
    blocker = sqlite3.connect(workspace.database)
    blocker.execute(
        "CREATE TRIGGER crash BEFORE UPDATE OF events_offset ON runs BEGIN SELECT RAISE(ABORT, 'cut off'); END"
    )

    with pytest.raises(Exception, match="cut off"):
        store.ingest(folder)

    assert curve(store) == []
    blocker.execute("DROP TRIGGER crash")
    blocker.close()
    assert store.ingest(folder) == 2
    assert curve(store) == [(1, 2.0), (2, 1.0)]


def test_s6_of_two_who_read_at_once_the_slower_one_changes_nothing(workspace: Workspace, store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [3.0])
    with folder.events.open("ab") as sink:
        sink.write(b"no event\n")
    quicker = RunStore(workspace)

    @event.listens_for(store._database.writer, "checkout", once=True)
    def overtaken(*_: object) -> None:  # the slower one has read the file, and does not have the lock yet
        write_losses(folder.events, [2.0, 1.0], first_step=2)
        quicker.ingest(folder)

    store.ingest(folder)
    quicker.close()

    assert curve(store) == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert (store.get(RUN).bad_lines, store.get(RUN).step) == (1, 3)
    assert store.ingest(folder) == 0


def test_s7_bad_lines_are_skipped_and_counted(store: RunStore) -> None:
    folder = add_run(store)
    good = '{"v":1,"seq":1,"t":1.0,"kind":"metric","step":1,"values":{"loss":1.0}}'
    bad = [
        b"\xff\xfe\x00binary",
        b"x" * (10 << 20),
        good.replace("1.0}}", "NaN}}").encode(),
        good.replace('"v":1', '"v":2').encode(),
        good.replace("metric", "unheard").encode(),
        good.replace('"seq":1', '"seq":1e999').encode(),
        good.replace('"seq":1', f'"seq":{10**30}').encode(),
        good.replace('"step":1', '"step":-1').encode(),
        b"[" * 100_000,
        b'["a list"]',
    ]
    last = good.replace('"seq":1', '"seq":2').replace('"step":1', '"step":2').encode()
    folder.events.write_bytes(b"\n".join([good.encode(), *bad, b"", last, b""]))

    store.ingest(folder)

    assert curve(store) == [(1, 1.0), (2, 1.0)]
    assert store.get(RUN).bad_lines == len(bad)


def test_values_that_are_no_numbers_are_left_out(store: RunStore) -> None:
    folder = add_run(store)
    values = {"loss": 1.0, "text": "x", "flag": True, "huge": 10**400, "list": [1], "\ud800": 2}
    folder.events.write_text(
        json.dumps({"v": 1, "seq": 1, "t": 1.0, "kind": "metric", "step": 1, "values": values}) + "\n"
    )

    store.ingest(folder)

    assert store.get(RUN).metrics == {"loss": 1.0, "huge": None, "?": 2.0}


def test_s7_a_line_longer_than_any_event_is_a_bad_line(store: RunStore) -> None:
    folder = add_run(store)
    good = '{"v":1,"seq":1,"t":1.0,"kind":"metric","step":1,"values":{"loss":1.0}}'
    folder.events.write_text(f"{good[:-1]}{' ' * (1 << 20)}}}\n{good}\n")

    store.ingest(folder)

    assert curve(store) == [(1, 1.0)]
    assert store.get(RUN).bad_lines == 1


@pytest.mark.parametrize("how", ["longer", "replaced", "shrunk"])
def test_s8_a_file_that_was_replaced_or_got_shorter_is_read_again(store: RunStore, how: str) -> None:
    folder = add_run(store)
    write_losses(folder.events, [5.0] * 10)
    store.ingest(folder)
    cursor = store.curves([RUN], "loss").cursor
    losses = [float(number) for number in range(20 if how == "longer" else 2)]

    if how == "shrunk":
        folder.events.write_text("")
    else:
        folder.events.rename(folder.path / "old.jsonl")
    write_losses(folder.events, losses)
    store.ingest(folder)

    (series,) = store.curves([RUN], "loss", cursor).series
    assert (series.steps, series.values, series.is_whole) == (list(range(1, len(losses) + 1)), losses, True)
    assert store.get(RUN).step == len(losses)


def test_s9_a_loss_that_is_not_finite_is_a_gap(store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [1.0, float("nan"), float("inf"), 2.0])
    with folder.events.open("a") as sink:  # by another writer: JSON that is no number of ours
        sink.write('{"v":1,"seq":5,"t":1.0,"kind":"metric","step":5,"values":{"loss":1e999,"other":-1e999}}\n')

    store.ingest(folder)

    assert curve(store) == [(1, 1.0), (2, None), (3, None), (4, 2.0), (5, None)]
    assert curve(store, key="other") == [(5, None)]
    told = json.loads(json.dumps(store.get(RUN).metrics), parse_constant=pytest.fail)
    assert told == {"loss": None, "other": None}


def test_progress_notes_and_the_first_event_reach_the_run(store: RunStore) -> None:
    folder = add_run(store)
    store.transition(RUN, "starting", ("queued",))
    writer = EventWriter(folder.events)
    writer.write("progress", 0, phase="loading")
    writer.write("note", 0, level="info", text="bf16")
    writer.write("progress", 3, phase="training", total_steps=9, seconds_left=1.5)
    writer.close()

    store.ingest(folder)

    run = store.get(RUN)
    assert (run.state, run.phase, run.step, run.total_steps, run.seconds_left) == ("running", "training", 3, 9, 1.5)
    assert [note.values for note in store.notes_of(RUN)] == [{"level": "info", "text": "bf16"}]
    assert store.recorded_events_of(RUN, "end") == []


def test_a_run_without_events_or_without_a_row_is_no_error(store: RunStore, workspace: Workspace) -> None:
    folder = add_run(store)

    assert store.ingest(folder) == 0
    store.remove(RUN)
    write_losses(folder.events, [1.0])
    assert store.ingest(folder) == 0


def test_d1_a_line_cut_by_a_full_disk_is_an_error_and_harms_no_later_one(store: RunStore, tmp_path: Path) -> None:
    """A real limit of the kernel's on a real file, in a process of its own: the limit cannot be lifted here."""
    folder = add_run(store)
    code = f"""
import resource, signal
from pathlib import Path
from backend.runs.events import EventWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path({str(folder.events)!r})
writer = EventWriter(path)
writer.write("metric", 1, loss=2.0)
for room in (0, 10):
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, resource.RLIM_INFINITY))
    try:
        writer.write("metric", 2, loss=1.0)
        raise SystemExit("the disk was not full")
    except OSError as error:
        print(error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.write("metric", 3, loss=0.5)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    store.ingest(folder)

    assert done.stdout.split() == [str(errno.EFBIG), str(errno.ENOSPC)]
    assert curve(store) == [(1, 2.0), (3, 0.5)]
    assert store.get(RUN).bad_lines == 1
