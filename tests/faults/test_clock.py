"""D8: the clock is set back an hour in the middle of a run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.ids import RunId
from backend.runs.folder import CommandRecord, ExitRecord, ProcessRecord, RunFolder, read_record
from backend.settings import ROOT, Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from launcher.commands import run_environment
from launcher.devices import Device
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager
from studio.pages.runs.live import RunRows

HOUR_S = 3600
FAKE = ROOT / "tests" / "fakes" / "fake_trainer.py"
# a keeper whose clock falls back an hour as soon as it has written down what it started
KEEPER = """
import sys, time
from pathlib import Path
real, process = time.time, Path(sys.argv[1]) / "process.json"
time.time = lambda: real() - (3600 if process.exists() else 0)
from launcher.keeper import main
main()
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    store = RunStore(Workspace(tmp_path))
    yield store
    store.close()


def a_run(store: RunStore, run_id: str, created_at: float) -> RunFolder:
    folder = RunFolder(store.workspace.output / run_id)
    folder.path.mkdir(parents=True)
    folder.spec.write_text(RunSpec(name=run_id).model_dump_json())
    store.add(RunId(run_id), RunSpec(name=run_id), created_at)
    return folder


def write_lines(folder: RunFolder, times: list[float]) -> None:
    with folder.events.open("w") as sink:
        for seq, moment in enumerate(times, start=1):
            for kind, values in (("metric", {"loss": 1 / seq}), ("note", {"text": f"note {seq}"})):
                line = {"v": 1, "seq": 2 * seq + (kind == "note"), "t": moment, "kind": kind, "step": seq}
                sink.write(json.dumps(line | {"values": values}) + "\n")


def test_d8_a_run_lasts_as_long_as_it_did_though_its_clock_went_back(tmp_path: Path, store: RunStore):
    folder = a_run(store, "20260101-000000-back", time.time())
    argv = (sys.executable, str(FAKE), "--steps", "10", "--pause", "0.05", str(folder.path))
    environment = run_environment(folder, ("cpu:0",), threads=0, processes=1)
    record = CommandRecord(argv=argv, env=environment, cwd=str(folder.path))
    folder.command.write_text(record.model_dump_json())
    claim = store.claim_next(("cpu:0",), lambda taken: 1)
    assert claim is not None

    subprocess.run([sys.executable, "-c", KEEPER, str(folder.path), KeeperSettings(poll_s=0.05).model_dump_json()],
                   cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)  # fmt: skip
    run, ended = store.get(claim.run_id), read_record(folder.exit, ExitRecord)
    process = read_record(folder.process, ProcessRecord)

    assert ended is not None
    assert process is not None
    assert process.started_at - ended.ended_at > HOUR_S / 2  # the clock did go back
    assert run.state == "finished"
    assert 0.5 <= ended.duration_s < 60
    assert run.took_s == ended.duration_s
    (row,) = json.loads(RunRows(store).since())["runs"]
    assert row["took"] == ended.duration_s


def test_d8_curves_notes_and_progress_follow_the_order_in_which_they_were_told(store: RunStore):
    folder = a_run(store, "20260101-000000-a", 2 * HOUR_S)
    now = 1_790_000_000.0
    write_lines(folder, [now, now + 1, now + 2 - HOUR_S, now + 3 - HOUR_S])

    store.ingest(folder)

    (series,) = store.curves([folder.run_id], "loss").series
    assert series.steps == [1, 2, 3, 4]
    assert [note.values["text"] for note in store.notes_of(folder.run_id)] == [f"note {seq}" for seq in (1, 2, 3, 4)]
    run = store.get(folder.run_id)
    assert (run.step, run.metrics["loss"]) == (4, 1 / 4)


def test_d8_the_queue_and_the_list_go_by_the_order_of_arrival(store: RunStore):
    for number, name in enumerate(("first", "second", "third")):
        a_run(store, name, 10 * HOUR_S - number * HOUR_S)

    claims = []
    while claim := store.claim_next(tuple(f"cpu:{number}" for number in range(9)), lambda taken: 40_000 + len(taken)):
        claims.append(claim.run_id)

    assert claims == ["first", "second", "third"]
    assert [view.id for view in store.views()] == ["third", "second", "first"]
    rows = json.loads(RunRows(store).since())["runs"]
    assert [row["id"] for row in rows] == ["third", "second", "first"]


def test_d8_a_run_whose_keeper_never_came_is_lost_soon_though_its_start_lies_in_the_future(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
):
    folder = a_run(store, "20260101-000000-alone", time.time())
    store.claim_next(("cpu:0",), lambda taken: 1)  # and who claimed it died there
    launcher = RunManager(store.workspace, store, KeeperSettings(), (Device("cpu:0", "fake", 1),))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - HOUR_S)

    launcher.reconcile()

    run = store.get(folder.run_id)
    assert (run.state, run.took_s) == ("lost", 0.0)
    assert store.holders() == {}
