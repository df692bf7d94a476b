"""Runs that end without a keeper keep their end, also where the index is made anew from the folders."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from launcher_lab import a_run, until
from sqlalchemy import text

from backend.errors import LaunchError, StudioError
from backend.ids import new_run_id
from backend.runs.folder import ProcessRecord, RunFolder, read_record
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store import database, rebuild
from launcher import reconciler
from launcher.run_manager import RunManager


def queued(launcher: RunManager, name: str, **values: object) -> RunFolder:
    """A run that waits, and nobody has looked at yet."""
    folder = RunFolder(launcher.workspace.output / new_run_id(name, datetime.now().astimezone()))
    folder.path.mkdir()
    spec = RunSpec(name=name).with_values(dict(values))
    folder.spec.write_text(spec.model_dump_json())
    launcher.runs.add(folder.run_id, spec, 1.0)
    return folder


def impossible(launcher: RunManager) -> RunFolder:
    folder = queued(launcher, "impossible", **{"devices.gpus": (5,)})
    launcher.schedule()
    return folder


def failed_start(launcher: RunManager) -> RunFolder:
    folder = queued(launcher, "failed")
    folder.command.mkdir()  # where its file has to lie
    launcher.schedule()
    return folder


def never_started(launcher: RunManager) -> RunFolder:
    folder = queued(launcher, "never")
    assert launcher.runs.claim_next(("cpu:0",), lambda taken: 1) is not None
    launcher.reconcile()
    return folder


def stopped(launcher: RunManager) -> RunFolder:
    folder = queued(launcher, "stopped")
    launcher.stop(folder.run_id)
    return folder


@pytest.mark.parametrize(
    ("end", "state"), [(impossible, "failed"), (failed_start, "failed"), (never_started, "lost"), (stopped, "stopped")]
)
def test_s12_an_end_without_a_keeper_outlives_the_index(
    launch, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, end: Callable[[RunManager], RunFolder], state: str
) -> None:
    monkeypatch.setattr(reconciler, "START_PATIENCE_S", 0.0)
    launcher = launch()
    folder = end(launcher)
    before = launcher.runs.get(folder.run_id)
    launcher.runs.close()
    for path in workspace.output.glob("studio.db*"):
        path.unlink()

    again = launch()
    again.schedule()

    after = again.runs.get(folder.run_id)
    assert before.state == state
    assert (after.state, after.reason, after.hint) == (before.state, before.reason, before.hint)
    assert not folder.process.exists()


def test_a_queued_run_that_cannot_be_deleted_stays_queued(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    running, waiting = a_run(launcher), a_run(launcher)
    launcher.workspace.trash.rmdir()
    launcher.workspace.trash.write_text("a file where the trash should be")

    with pytest.raises(LaunchError, match="cannot be moved"):
        launcher.delete(waiting.id)

    assert launcher.runs.get(waiting.id) == waiting
    assert waiting.folder.spec.exists()
    launcher.workspace.trash.unlink()
    launcher.stop(waiting.id)
    launcher.stop(running.id, "now")
    launcher.wait(running.id, poll_s=0.03)


def test_a_run_that_the_index_cannot_tell_after_its_claim_fails_and_stops_nobody(launch) -> None:
    launcher = launch("--steps", "1")
    broken, sound = queued(launcher, "broken"), queued(launcher, "sound")
    with launcher.runs._database.write() as connection:
        connection.execute(text("UPDATE runs SET metrics_json = '{' WHERE id = :id"), {"id": broken.run_id})

    launcher.schedule(judges=False)

    with launcher.runs._database.write() as connection:
        connection.execute(text("UPDATE runs SET metrics_json = '{}'"))
    assert launcher.runs.get(broken.run_id).state == "failed"
    assert launcher.wait(sound.run_id, poll_s=0.03).state == "finished"


def test_a_run_that_a_locked_index_refuses_leaves_no_folder(
    launch, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 100)
    launcher = launch()
    with closing(sqlite3.connect(workspace.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudioError, match="database is locked"):
            launcher.submit(RunSpec(name="refused"))

    assert list(workspace.output.glob("*-refused")) == []


def test_p9_one_folder_that_cannot_be_read_keeps_no_other_run_from_being_settled(
    launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "START_PATIENCE_S", 0.0)
    launcher = launch(gpus=2)
    closed, gone = queued(launcher, "closed"), queued(launcher, "gone")
    for _ in (closed, gone):
        assert launcher.runs.claim_next(("cuda:0", "cuda:1"), lambda taken: 1) is not None
    closed.exit.symlink_to(Path("x" * 300))  # looking at it is an error, to an administrator too

    launcher.reconcile()

    assert launcher.runs.get(closed.run_id).state == "starting"
    assert launcher.runs.get(gone.run_id).state == "lost"
    closed.exit.unlink()
    launcher.reconcile()
    assert launcher.runs.get(closed.run_id).state == "lost"


def test_p9_a_keeper_that_cannot_be_seen_from_here_is_known_by_its_lock(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.process.exists)
    whole = run.folder.process.read_text()
    process = read_record(run.folder.process, ProcessRecord)
    assert process is not None
    elsewhere = {"keeper_start_ticks": process.keeper_start_ticks + 1, "start_ticks": process.start_ticks + 1}
    as_seen_from_there = process.model_copy(update=elsewhere)  # by another container: no such process
    run.folder.process.write_text(as_seen_from_there.model_dump_json())

    launcher.reconcile()

    assert launcher.runs.get(run.id).is_active
    run.folder.process.write_text(whole)
    launcher.stop(run.id, "now")
    assert launcher.wait(run.id, poll_s=0.03).state == "stopped"


def test_p9_a_folder_of_which_half_was_copied_is_lost_and_not_started_again(
    launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = launch("--steps", "3")
    run = launcher.wait(a_run(launcher).id, poll_s=0.03)
    copy = RunFolder(launcher.workspace.output / "20200101-000000-copy")
    copy.path.mkdir()
    for path in (run.folder.spec, run.folder.command, run.folder.events):
        (copy.path / path.name).write_bytes(path.read_bytes())

    launcher.schedule()
    assert copy.run_id not in launcher.runs.names()
    monkeypatch.setattr(rebuild, "SETTLED_S", 0.0)
    launcher.schedule()

    lost = launcher.runs.get(copy.run_id)
    assert (lost.state, lost.step) == ("lost", 3)
    assert "half a copy" in lost.reason
    assert not copy.process.exists()
