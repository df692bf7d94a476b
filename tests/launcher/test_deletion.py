"""C8: what may not be deleted is not."""

import json
import shutil
import time
from pathlib import Path

import pytest
from launcher_lab import a_run

from backend.errors import LaunchError
from backend.runs.folder import ExitRecord, RunFolder
from backend.spec.run import RunSpec
from backend.store.views import RunView
from launcher.deletion import delete_run, empty_trash
from launcher.run_manager import RunManager


@pytest.fixture
def over(launch) -> tuple[RunManager, RunView]:
    """A run that is over, as its folder tells."""
    launcher = launch()
    folder = RunFolder(launcher.workspace.output / "20260101-000000-over")
    folder.path.mkdir()
    ended = ExitRecord(
        raw_status=0, exit_code=0, signal=None, duration_s=1.0, peak_memory_bytes=1, state="finished", reason="",
        hint="", ended_at=9.0,
    )  # fmt: skip
    folder.exit.write_text(ended.model_dump_json())
    folder.spec.write_text(RunSpec(name="over").model_dump_json())
    launcher.reconcile()
    return launcher, launcher.runs.get(folder.run_id)


def test_c8_a_run_at_work_is_not_deleted(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)

    with pytest.raises(LaunchError, match="Stop it first"):
        launcher.delete(run.id)

    assert run.folder.spec.exists()
    launcher.stop(run.id, "now")
    launcher.wait(run.id, poll_s=0.03)


def test_c8_a_run_that_still_holds_a_device_is_not_deleted(over) -> None:
    launcher, run = over
    launcher.runs.hold(run.id, ("cpu:0",))

    with pytest.raises(LaunchError, match="not all of its processes"):
        delete_run(launcher.workspace, launcher.runs, run.id)

    assert launcher.runs.get(run.id) == run


@pytest.mark.parametrize(
    "built",
    [
        {"model.base": "{id}"},
        {"model.base": "{id}/checkpoint-3"},
        {"model.base": "{path}/final_model"},
        {"resumed_from": "{id}/checkpoint-3"},
        {"comparison.contestants": [{"checkpoint": "demo"}, {"checkpoint": "{id}"}]},
    ],
    ids=str,
)
def test_c8_a_run_that_another_builds_on_is_not_deleted(over, built: dict[str, object]) -> None:
    launcher, run = over
    named = json.loads(json.dumps(built).replace("{id}", run.id).replace("{path}", str(run.folder.path)))
    spec = RunSpec().with_values(named)
    launcher.runs.add("20260101-000000-child", spec, 1.0)

    with pytest.raises(LaunchError, match="`20260101-000000-child` builds on"):
        launcher.delete(run.id)

    launcher.runs.transition("20260101-000000-child", "stopped", ("queued",))
    launcher.delete(run.id)


def test_c8_a_link_in_place_of_a_run_folder_is_not_followed(over, tmp_path: Path) -> None:
    launcher, run = over
    treasure = tmp_path / "treasure"
    shutil.move(run.folder.path, treasure)
    run.folder.path.symlink_to(treasure)

    with pytest.raises(LaunchError, match="not a run folder"):
        launcher.delete(run.id)

    assert (treasure / "spec.json").exists()


@pytest.mark.parametrize("run_id", ["..", ".", "../data", ".trash", "a/b"])
def test_c8_a_row_with_a_path_for_an_id_deletes_nothing(over, run_id: str) -> None:
    launcher, _ = over
    launcher.runs.add(run_id, RunSpec(), 1.0)
    launcher.runs.transition(run_id, "failed", ("queued",))

    with pytest.raises(LaunchError, match="not a run folder"):
        launcher.delete(run_id)

    assert launcher.workspace.data.exists()


def test_c8_a_failing_move_keeps_the_row(over) -> None:
    launcher, run = over
    shutil.rmtree(launcher.workspace.trash)
    launcher.workspace.trash.write_text("a file where the trash should be")

    with pytest.raises(LaunchError, match="cannot be moved"):
        launcher.delete(run.id)

    assert launcher.runs.get(run.id) == run
    assert run.folder.spec.exists()


def test_c8_what_a_crash_left_in_the_trash_can_be_taken_back_for_a_day(over) -> None:
    launcher, run = over
    fresh = launcher.workspace.trash / f"run.{run.id}.{time.time_ns()}"
    stale = launcher.workspace.trash / f"run.old.{time.time_ns() - 2 * 86_400 * 10**9}"
    foreign = launcher.workspace.trash / "cats"
    for folder in (fresh, stale, foreign):
        folder.mkdir()

    empty_trash(launcher.workspace)

    assert (fresh.exists(), stale.exists(), foreign.exists()) == (True, False, True)


def test_a_queued_run_can_be_deleted(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    running, queued = a_run(launcher), a_run(launcher)

    launcher.delete(queued.id)

    assert [run.id for run in launcher.runs.views()] == [running.id]
    launcher.stop(running.id, "now")
    launcher.wait(running.id, poll_s=0.03)
