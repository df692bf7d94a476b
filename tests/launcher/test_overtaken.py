"""P11, P12, P15, P17, C8: between a look and an act somebody else may have been quicker."""

import os

import pytest
from launcher_lab import a_run, until
from sqlalchemy import event

from backend.errors import LaunchError
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec
from backend.store.queue import Holder, Lease
from backend.store.runs import RunStore
from launcher.commands import free_port
from launcher.keeper_lock import take_lock
from launcher.processes import boot_id, identify
from launcher.reconciler import settle_all
from launcher.run_manager import RunManager, new_folder


def queued(launcher: RunManager, name: str) -> RunFolder:
    """A run in the queue that nobody has been told of yet."""
    spec = RunSpec(name=name)
    folder = new_folder(spec, launcher.workspace)
    launcher.runs.add(folder.run_id, spec, 1.0)
    return folder


def test_c8_p12_a_queued_run_that_starts_while_it_is_being_deleted_stays(launch) -> None:
    launcher = launch("--steps", "1")
    folder, quicker = queued(launcher, "mine"), RunStore(launcher.workspace)

    @event.listens_for(launcher.runs._database.writer, "checkout", once=True)
    def overtaken(*_: object) -> None:
        assert quicker.claim_next(("cpu:0",), lambda taken: 1) is not None

    with pytest.raises(LaunchError, match="has just left the queue"):
        launcher.delete(folder.run_id)
    quicker.close()

    assert launcher.runs.get(folder.run_id).state == "starting"
    assert folder.spec.is_file()


def test_p11_a_run_that_another_keeper_has_by_now_is_left_to_that_one(launch) -> None:
    launcher = launch("--steps", "1")
    folder = queued(launcher, "mine")
    lock = take_lock(folder)
    assert lock is not None

    launcher.schedule(judges=False)

    assert launcher.runs.get(folder.run_id).state == "starting"
    assert not folder.command.exists()
    lock.close()
    assert not folder.process.exists()


def test_p15_a_chat_whose_pid_is_somebody_elses_by_now_holds_nothing(launch) -> None:
    launcher = launch()
    own = identify(os.getpid())
    assert own is not None
    for number, ticks in enumerate((own.start_ticks, own.start_ticks + 1)):
        holder = Holder(own.pid, ticks, boot_id())
        chat = Lease("cpu:0", f"chat-{number}", None, "demo", False, holder, 1.0)
        assert launcher.runs.hold_for_chat(chat, ("cpu:0",))

    settle_all(launcher.runs)

    assert [lease.holder for lease in launcher.runs.leases()] == ["chat-0"]


def test_p17_a_port_that_another_run_has_is_never_given_out() -> None:
    with pytest.raises(OSError, match="no free port"):
        free_port(set(range(65_536)))


def test_a_run_at_work_is_not_gone_on_from(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.events.exists)

    with pytest.raises(LaunchError, match=f"`{run.id}` is still"):
        launcher.resume(run.id)

    launcher.stop(run.id, "now")
    launcher.wait(run.id, poll_s=0.03)


def test_c8_what_is_not_ours_in_the_trash_is_left_there(launch) -> None:
    launcher = launch()
    names = ["cats", "run.", "run.a.b", "run.cats"]
    for name in names:
        (launcher.workspace.trash / name).mkdir()

    again = launch()

    assert sorted(path.name for path in again.workspace.trash.iterdir()) == names
