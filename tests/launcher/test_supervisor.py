"""Runs from submission to their end, through deaths of everyone around them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launcher_lab import a_run, until

from backend.errors import LaunchError, NotFoundError
from backend.ids import is_safe_name
from backend.runs.folder import CommandRecord, ExitRecord, ProcessRecord, read_record
from backend.settings import ROOT
from backend.spec.run import RunSpec
from launcher.processes import identify

SUBMIT_AND_WAIT = """
import sys, time
from pathlib import Path
from backend.settings import Workspace
from backend.spec.run import RunSpec
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager
launcher = RunManager.open(Workspace(Path(sys.argv[1])), KeeperSettings.model_validate_json(sys.argv[2]))
print(launcher.submit(RunSpec(name="survivor")), flush=True)
time.sleep(60)
"""


def test_p2_killing_the_process_that_started_a_run_does_not_touch_it(launch, workspace) -> None:
    launcher = launch("--steps", "3000", "--pause", "0.02")
    starter = subprocess.Popen(
        [sys.executable, "-c", SUBMIT_AND_WAIT, str(workspace.root), launcher._settings.model_dump_json()],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert starter.stdout is not None
    run = launcher.runs.get(starter.stdout.readline().decode().strip())
    until(lambda: launcher.runs.ingest(run.folder) or launcher.runs.get(run.id).step)
    before = read_record(run.folder.process, ProcessRecord)
    assert before is not None

    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    later = launch()  # a new web process
    later.reconcile()
    step = later.runs.get(run.id).step

    assert later.runs.get(run.id).state == "running"
    assert identify(before.pid) is not None
    until(lambda: later.reconcile() or later.runs.get(run.id).step > step)
    later.stop(run.id)
    ended = later.wait(run.id, poll_s=0.03)
    assert (ended.state, ended.reason) == ("stopped", "It was stopped on request, after saving")
    assert ended.folder.has_final_model


def test_p9_a_run_whose_keeper_is_killed_is_lost_and_swept(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", "--strays", "1")
    run = a_run(launcher)
    until(run.folder.events.exists)
    process = read_record(run.folder.process, ProcessRecord)
    assert process is not None

    lying = (".checkpoint-9.partial", ".checkpoint-3.removed", ".checkpoint-5.replaced", ".checkpoint-7.replaced")
    for name in (*lying, "checkpoint-7"):
        (run.folder.path / name).mkdir()
        (run.folder.path / name / "model.safetensors").write_bytes(name.encode())

    os.kill(process.keeper_pid, signal.SIGKILL)
    until(lambda: identify(process.keeper_pid) is None)
    launcher.reconcile()

    lost = launcher.runs.get(run.id)
    assert lost.state == "lost"
    assert list(run.folder.path.glob(".checkpoint-*")) == []
    kept = {path.parent.name: path.read_text() for path in run.folder.path.glob("checkpoint-*/model.safetensors")}
    assert kept == {"checkpoint-5": ".checkpoint-5.replaced", "checkpoint-7": "checkpoint-7"}
    assert "keeper was killed" in lost.reason
    assert identify(process.pid) is None
    assert launcher.runs.holders() == {}


def test_p9_a_run_whose_folder_was_removed_by_hand_is_lost_and_stops_nobody(launch) -> None:
    launcher = launch()
    for number in (1, 2):
        launcher.runs.add(f"20260101-00000{number}-gone", RunSpec(), float(number))  # type: ignore[arg-type]
    launcher.runs.claim_next(("cpu:0",), lambda taken: 1)
    (launcher.workspace.output / "20260101-000002-gone").mkdir()

    launcher.runs.transition("20260101-000001-gone", "running", ("starting",))  # type: ignore[arg-type]
    launcher.schedule()

    assert launcher.runs.get("20260101-000001-gone").state == "lost"
    assert launcher.wait("20260101-000002-gone", poll_s=0.03).state in ("finished", "failed")


def test_p18_after_a_restart_of_the_machine_runs_are_lost_and_nobody_is_signalled(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.process.exists)
    process = read_record(run.folder.process, ProcessRecord)
    assert process is not None
    of_another_boot = process.model_copy(update={"boot_id": "another"})
    run.folder.process.write_text(of_another_boot.model_dump_json())

    launcher.reconcile()

    lost = launcher.runs.get(run.id)
    assert (lost.state, lost.reason) == ("lost", "The machine was restarted while it ran")
    assert identify(process.pid) is not None
    assert launcher.runs.holders() == {}
    run.folder.stop.write_text('{"mode":"now","asked_at":1.0}')
    until(run.folder.exit.exists)
    launcher.reconcile()
    assert launcher.runs.get(run.id).state == "lost"  # terminal states are final
    until(lambda: identify(process.keeper_pid) is None)


def test_p5_a_keeper_whose_pid_is_somebody_elses_by_now_is_gone_and_that_one_is_left_alone(launch) -> None:
    launcher = launch()
    launcher.runs.add("20260101-000000-old", RunSpec(), 1.0)  # type: ignore[arg-type]
    launcher.runs.claim_next(("cpu:0",), lambda taken: 1)
    folder = launcher.runs.get("20260101-000000-old").folder
    folder.path.mkdir()
    somebody = subprocess.Popen(["sleep", "60"])
    own = identify(somebody.pid)
    record = ProcessRecord(
        pid=own.pid, start_ticks=own.start_ticks - 1, keeper_pid=own.pid, keeper_start_ticks=own.start_ticks - 1,
        boot_id=own.boot_id, devices=("cpu:0",), started_at=1.0,
    )  # fmt: skip
    folder.process.write_text(record.model_dump_json())

    launcher.reconcile()

    assert launcher.runs.get("20260101-000000-old").state == "lost"
    assert launcher.runs.leases() == []
    assert somebody.poll() is None
    somebody.kill()
    somebody.wait()


def test_p10_many_short_runs_leave_no_zombie(launch) -> None:
    launcher = launch("--steps", "1", "--pause", "0", gpus=4)
    others = set(_zombie_children())  # of tests before this one
    runs = [a_run(launcher, f"run {number}", **{"devices.gpus": (number % 4,)}) for number in range(12)]

    states = [launcher.wait(run.id, poll_s=0.03).state for run in runs]

    assert states == ["finished"] * 12
    until(lambda: set(_zombie_children()) <= others)


def test_p11_starting_and_stopping_twice_is_once(launch, workspace) -> None:
    launchers = [launch("--steps", "1000", "--pause", "0.05") for _ in range(4)]
    run = a_run(launchers[0])
    threads = [threading.Thread(target=one.schedule) for one in launchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(run.folder.process.exists)

    stops = [threading.Thread(target=launchers[0].stop, args=(run.id, "now")) for _ in range(4)]
    for thread in stops:
        thread.start()
    for thread in stops:
        thread.join()

    ended = launchers[0].wait(run.id, poll_s=0.03)
    launchers[0].stop(run.id)
    assert ended.state == "stopped"
    assert launchers[0].runs.get(run.id) == ended
    ends = [event for event in ended.folder.events.read_text().splitlines() if json.loads(event)["kind"] == "end"]
    assert len(ends) == 1


def test_p12_a_stop_that_races_the_end_leaves_one_true_state(launch) -> None:
    launcher = launch("--steps", "2", "--pause", "0.05")

    for delay_s in (0.0, 0.15, 0.25, 0.35):
        run = a_run(launcher)
        time.sleep(delay_s)
        launcher.stop(run.id)
        ended = launcher.wait(run.id, poll_s=0.03)
        launcher.stop(run.id)
        launcher.reconcile()
        assert ended.state in ("finished", "stopped")
        assert launcher.runs.get(run.id).state == ended.state


def test_p16_the_queue_keeps_its_order_and_needs_nobody(launch, workspace) -> None:
    launcher = launch("--steps", "4", "--pause", "0.05")
    runs = [a_run(launcher, name) for name in ("first", "second", "third")]
    assert [launcher.runs.get(run.id).state for run in runs][1:] == ["queued", "queued"]
    launcher.runs.close()

    until(runs[2].folder.exit.exists)  # nobody looks meanwhile: ending keepers start the next

    ends = [read_record(run.folder.exit, ExitRecord) for run in runs]
    starts = [read_record(run.folder.process, ProcessRecord) for run in runs]
    assert all(end is not None and end.state == "finished" for end in ends)
    for end, start in zip(ends[:2], starts[1:], strict=True):
        assert end is not None
        assert start is not None
        assert start.started_at >= end.ended_at
    later = launch()
    until(lambda: later.reconcile() or not later.runs.holders())


def test_p17_two_runs_at_once_meet_at_different_ports(launch, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", gpus=2)
    seen: list[int] = []
    original = launcher._command_of
    monkeypatch.setattr(launcher, "_command_of", lambda run, claim: seen.append(claim.port) or original(run, claim))

    runs = [a_run(launcher), a_run(launcher)]

    for run in runs:
        launcher.stop(run.id, "now")
    states = [launcher.wait(run.id, poll_s=0.03).state for run in runs]
    assert states == ["stopped", "stopped"]
    assert len(set(seen)) == 2
    assert all(1024 < port < 65536 for port in seen)


def test_a_queued_run_is_stopped_without_ever_starting(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    running, queued = a_run(launcher), a_run(launcher)

    stopped = launcher.stop(queued.id)

    assert (stopped.state, stopped.reason) == ("stopped", "It was stopped before it started")
    assert not stopped.folder.process.exists()
    launcher.stop(running.id, "now")
    launcher.wait(running.id, poll_s=0.03)


def test_a_run_may_not_name_a_gpu_that_is_not_there(launch) -> None:
    launcher = launch()

    with pytest.raises(LaunchError, match="`cuda:7`"):
        launcher.submit(RunSpec().with_values({"devices.gpus": (7,)}))

    assert launcher.runs.views() == []


def test_a_queued_run_whose_gpu_is_gone_fails_instead_of_waiting_for_ever(launch) -> None:
    launch(gpus=2).runs.add("20260101-000000-x", RunSpec().with_values({"devices.gpus": (1,)}), 1.0)  # type: ignore[arg-type]
    launcher = launch()

    (launcher.workspace.output / "20260101-000000-x").mkdir()
    launcher.schedule()

    run = launcher.runs.get("20260101-000000-x")
    assert run.state == "failed"
    assert "cuda:1" in run.reason


def test_s12_without_its_index_a_workspace_is_found_again_whole(launch, workspace) -> None:
    launcher = launch("--steps", "5")
    finished = launcher.wait(a_run(launcher, "done").id, poll_s=0.03)
    slow = launch("--steps", "1000", "--pause", "0.05")
    running, queued = a_run(slow, "at work"), a_run(slow, "waiting")
    until(lambda: slow.reconcile() or slow.runs.get(running.id).state == "running")
    curve = launcher.runs.curves([finished.id], "loss").series
    for one in (launcher, slow):
        one.runs.close()
    for path in workspace.output.glob("studio.db*"):
        path.unlink()

    again = launch("--steps", "1000", "--pause", "0.05")
    again.schedule()

    assert again.runs.curves([finished.id], "loss").series == curve
    assert again.runs.get(finished.id).state == "finished"
    assert again.runs.get(finished.id).name == "done"
    assert again.runs.get(running.id).state == "running"
    assert again.runs.get(queued.id).state == "queued"
    assert again.runs.holders() == {"cpu:0": running.id}
    again.stop(queued.id)
    again.stop(running.id, "now")
    assert again.wait(running.id, poll_s=0.03).state == "stopped"


def test_waiting_tells_every_event_in_order(launch) -> None:
    launcher = launch("--steps", "3")
    events = []

    run = launcher.wait(a_run(launcher).id, events.append, poll_s=0.03)

    assert [event.seq for event in events] == list(range(1, 8))
    assert events[-1].kind == "end"
    assert (run.state, run.step, run.total_steps, run.metrics) == ("finished", 3, 3, {"loss": pytest.approx(1 / 3)})


def test_a_run_that_cannot_write_its_command_fails_and_frees_its_device(launch) -> None:
    launcher = launch()
    blocker = launcher.runs.claim_next(("cpu:0",), lambda taken: 1)
    assert blocker is None
    run_id = "20260101-000000-broken"
    launcher.runs.add(run_id, RunSpec(), 1.0)  # type: ignore[arg-type]

    launcher.schedule()  # it has no folder to write into

    assert launcher.runs.get(run_id).state == "failed"
    assert launcher.runs.holders() == {}


def test_an_unknown_run_is_named(launch) -> None:
    with pytest.raises(NotFoundError, match="`nobody`"):
        launch().stop("nobody")


@settings(deadline=None, derandomize=True)
@given(name=st.text(max_size=40))
def test_p1_any_name_becomes_one_safe_folder_and_one_argument(name: str) -> None:
    from datetime import UTC, datetime

    from backend.ids import new_run_id

    run_id = new_run_id(name, datetime(2026, 1, 1, tzinfo=UTC))

    assert is_safe_name(run_id)


def test_p1_a_hostile_name_never_reaches_the_command(launch) -> None:
    names = ["x; touch p", "$(id)", "--deepspeed evil", "-c", "a b", "训练", "../../up"]
    launcher = launch("--steps", "1", "--pause", "0", gpus=7)

    started = [a_run(launcher, name, **{"devices.gpus": (at,)}) for at, name in enumerate(names)]

    for name, run in zip(names, [launcher.wait(run.id, poll_s=0.03) for run in started], strict=True):
        command = read_record(run.folder.command, CommandRecord)
        assert command is not None
        assert (run.state, run.name) == ("finished", name)
        assert command.argv[-1] == str(run.folder.path)
        assert run.folder.path.parent == launcher.workspace.output
        assert name not in command.argv


def test_m5_runs_of_one_name_in_one_second_get_folders_of_their_own(launch) -> None:
    launcher = launch("--steps", "1", "--pause", "0", gpus=4)
    names = ("Caf\u00e9", "Cafe\u0301", "CAFE", "cafe")

    runs = [a_run(launcher, name, **{"devices.gpus": (at,)}) for at, name in enumerate(names)]

    assert len({str(run.folder.path).casefold() for run in runs}) == 4
    assert [launcher.wait(run.id, poll_s=0.03).state for run in runs] == ["finished"] * 4


def _zombie_children() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) == os.getpid():
                found.append(entry.name)
    return found


def test_deleting_frees_the_disk_and_forgets_the_run(launch, workspace) -> None:
    launcher = launch("--steps", "1")
    run = launcher.wait(a_run(launcher).id, poll_s=0.03)
    until(lambda: not launcher.runs.holders())

    launcher.delete(run.id)

    assert not run.folder.path.exists()
    assert list(workspace.trash.iterdir()) == []
    assert launcher.runs.views() == []
