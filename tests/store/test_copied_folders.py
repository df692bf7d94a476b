"""Folders that somebody copies into output/: nothing is told of them while they are half there, nor started twice."""

import time
from datetime import datetime
from pathlib import Path

import pytest
from store_lab import add_run, curve, write_losses

from backend.ids import new_run_id
from backend.runs.folder import ExitRecord, RunFolder
from backend.spec.run import RunSpec
from backend.store import rebuild
from backend.store.runs import RunStore

COPY = "20200101-000000-copy"
ENDED = ExitRecord(
    raw_status=0, exit_code=0, signal=None, duration_s=1.0, peak_memory_bytes=1, state="finished", reason="", hint="",
    ended_at=9.0,
)  # fmt: skip


@pytest.fixture
def copy(store: RunStore) -> RunFolder:
    """A folder of which only the spec has arrived."""
    folder = RunFolder(store.workspace.output / COPY)
    folder.path.mkdir()
    folder.spec.write_text(RunSpec(name="copy").model_dump_json())
    return folder


def test_a_copy_is_taken_in_once_nothing_in_it_changes(
    store: RunStore, copy: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.rebuild() == []

    (copy.path / "final_model").mkdir()
    weights = copy.path / "final_model" / "model.safetensors"
    monkeypatch.setattr(rebuild, "SETTLED_S", 0.5)
    for _ in range(4):  # a large file arrives bit by bit
        with weights.open("ab") as sink:
            sink.write(b"weights")
        assert store.rebuild() == []
        time.sleep(0.25)

    time.sleep(0.5)
    assert store.rebuild() == [COPY]


def test_a_copy_that_tells_how_it_ended_is_there_at_once_and_its_curve_follows(
    store: RunStore, copy: RunFolder
) -> None:
    copy.exit.write_text(ENDED.model_dump_json())

    assert store.rebuild() == [COPY]
    write_losses(copy.events, [2.0, 1.0])
    store.rebuild()

    assert store.get(copy.run_id).state == "finished"
    assert curve(store, COPY) == [(1, 2.0), (2, 1.0)]


def test_a_run_that_was_made_here_is_found_at_once(store: RunStore) -> None:
    folder = add_run(store, new_run_id("ours", datetime.now().astimezone()))
    store.remove(folder.run_id)

    assert store.rebuild() == [folder.run_id]
    assert store.get(folder.run_id).state == "queued"


def test_a_run_at_work_is_no_copy_whatever_its_name(store: RunStore, copy: RunFolder) -> None:
    copy.command.write_text("{}")

    assert store.rebuild(lambda folder: folder.run_id == COPY) == [COPY]


@pytest.mark.parametrize("trace", ["command.json", "events.jsonl", "log.txt", "final_model", "checkpoint-7"])
def test_a_folder_that_was_started_once_is_never_queued(
    store: RunStore, copy: RunFolder, monkeypatch: pytest.MonkeyPatch, trace: str
) -> None:
    monkeypatch.setattr(rebuild, "SETTLED_S", 0.0)
    (copy.path / trace).mkdir()

    assert store.rebuild() == [COPY]
    assert store.get(copy.run_id).state == "starting"  # and whoever settles it sees that nobody has it


def test_one_folder_that_cannot_be_read_hides_no_other(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    output = store.workspace.output
    now = datetime.now().astimezone()
    deep, odd, sound = (add_run(store, new_run_id(name, now)) for name in ("deep", "odd", "sound"))
    for folder in (deep, odd, sound):
        store.remove(folder.run_id)
    closed = output / "20260101-000000-closed"
    closed.mkdir()
    (closed / "spec.json").symlink_to(Path("x" * 300))  # looking at it is an error, to an administrator too
    deep.spec.write_text("[" * 100_000 + "]" * 100_000)
    odd.spec.write_text('{"name": "half \\ud83d a smile"}')

    assert set(store.rebuild()) == {odd.run_id, sound.run_id}
    assert store.rebuild() == []

    assert (store.get(odd.run_id).name, store.get(odd.run_id).state) == ("half ? a smile", "failed")
    assert [record.args[0] for record in caplog.records] == [closed.name, deep.run_id]  # once each
