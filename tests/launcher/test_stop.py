"""P4, P13: stopping saves where it can, and removes everybody."""

import time

import pytest
from launcher_lab import IMPATIENT, a_run, until

from launcher.processes import members


@pytest.mark.parametrize("mode", ["save", "now"])
def test_p4_stopping_removes_everybody_and_frees_the_device_after_that(launch, mode: str) -> None:
    behaviour = ("--steps", "1000", "--pause", "0.05", "--deaf", "--children", "2", "--strays", "1")
    launcher = launch(*behaviour, **IMPATIENT)
    run = a_run(launcher)
    until(lambda: run.folder.events.exists() and len(members(run.folder)) == 4)

    launcher.stop(run.id, mode)

    assert launcher.runs.get(run.id).state == "stopping"
    while True:
        holders = launcher.runs.holders()
        if run.folder.exit.exists():  # looked at after the holders: what was held before the end was held by this run
            break
        assert holders == {"cpu:0": run.id}
        time.sleep(0.05)
    ended = launcher.wait(run.id, poll_s=0.03)
    assert ended.state == "stopped"
    assert members(run.folder) == []
    assert launcher.runs.holders() == {}


def test_p4_what_a_finished_program_leaves_behind_is_removed_too(launch) -> None:
    launcher = launch("--steps", "1", "--strays", "1", "--children", "1")

    run = launcher.wait(a_run(launcher).id, poll_s=0.03)

    assert run.state == "finished"
    assert members(run.folder) == []


def test_p13_stopping_with_save_leaves_a_whole_final_model(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.events.exists)

    launcher.stop(run.id, "save")

    ended = launcher.wait(run.id, poll_s=0.03)
    assert (ended.state, ended.reason) == ("stopped", "It was stopped on request, after saving")
    assert ended.folder.has_final_model


def test_stopping_at_once_may_follow_stopping_with_save(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", "--deaf", **IMPATIENT | {"save_grace_s": 100})
    run = a_run(launcher)
    until(run.folder.events.exists)

    launcher.stop(run.id, "save")
    launcher.stop(run.id, "now")
    launcher.stop(run.id, "save")  # does not take it back

    ended = launcher.wait(run.id, poll_s=0.03)
    assert (ended.state, ended.reason) == ("stopped", "It was stopped on request, without saving")


def test_p13_a_save_that_takes_long_is_waited_for(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", "--slow-save", "2.5", save_grace_s=0.6)
    run = a_run(launcher)
    until(run.folder.events.exists)

    launcher.stop(run.id, "save")

    ended = launcher.wait(run.id, poll_s=0.03)
    assert (ended.state, ended.reason) == ("stopped", "It was stopped on request, after saving")
    assert ended.folder.has_final_model


def test_a_save_that_never_ends_is_ended(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", "--slow-save", "300", save_grace_s=0.5, saving_grace_s=0.5)
    run = a_run(launcher)
    until(run.folder.events.exists)

    launcher.stop(run.id, "save")

    ended = launcher.wait(run.id, poll_s=0.03)
    assert (ended.state, ended.reason) == ("stopped", "It was stopped before it could save a final model")


def test_stopping_at_once_does_not_wait_for_a_save(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", "--slow-save", "300", save_grace_s=60, now_grace_s=0.3)
    run = a_run(launcher)
    until(run.folder.events.exists)
    launcher.stop(run.id, "save")
    until(lambda: '"saving"' in run.folder.events.read_text())

    launcher.stop(run.id, "now")

    ended = launcher.wait(run.id, poll_s=0.03)
    assert (ended.state, ended.reason) == ("stopped", "It was stopped on request, without saving")
