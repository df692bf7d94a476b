"""P15 for chats: who talks to a model holds a device like any run, gives it up for one, and says who is in the way."""

import os
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
from launcher_lab import a_run, until
from sqlalchemy.exc import OperationalError

from backend.conversation import Message
from backend.errors import LaunchError
from backend.settings import DEMO_MODEL
from backend.spec.sampling import ChatSettings
from backend.store.queue import Holder
from launcher.chat import ChatPool, ChatRequest
from launcher.chat_process import reserve_device
from launcher.processes import identify

pytestmark = pytest.mark.torch


def question(**changes: object) -> ChatRequest:
    return ChatRequest("demo", (Message(role="user", content="Hello"),), (), ChatSettings(max_new_tokens=3, **changes))


def test_p15_a_seat_is_kept_while_its_program_starts(launch) -> None:
    launcher = launch(gpus=2)

    seat = reserve_device(launcher.runs, ("cuda:0", "cuda:1"), "demo", beside_runs=False)
    launcher.reconcile()

    assert [(lease.device, lease.holder) for lease in launcher.runs.leases()] == [("cuda:0", seat.holder)]
    assert seat.environment["CUDA_VISIBLE_DEVICES"] == "0"
    launcher.runs.release(seat.holder)


def test_p15_a_program_that_cannot_keep_its_seat_is_ended(launch, monkeypatch) -> None:
    launcher = launch(gpus=1)
    started: list[int] = []

    def fails(holder: str, process: Holder) -> bool:
        started.append(process.pid)
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr(launcher.runs, "hand_over", fails)
    with closing(ChatPool(launcher)) as pool, pytest.raises(OperationalError):
        list(pool.ask(question()))

    assert launcher.runs.leases() == []
    assert identify(started[0]) is None


def test_no_more_models_are_held_than_may_be(launch, monkeypatch) -> None:
    monkeypatch.setattr("launcher.chat.MOST_PROGRAMS", 0)
    launcher = launch()

    with closing(ChatPool(launcher)) as pool, pytest.raises(LaunchError, match="0 base models are answering already"):
        list(pool.ask(question()))

    assert launcher.runs.leases() == []


def test_nothing_is_started_by_a_pool_that_was_closed(launch) -> None:
    pool = ChatPool(launch())
    pool.close()

    with pytest.raises(LaunchError, match="is ending"):
        list(pool.ask(question()))


def test_what_can_be_talked_to_follows_the_runs(launch) -> None:
    launcher = launch()
    pool, output = ChatPool(launcher), launcher.workspace.output

    def write(name: str) -> None:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text("{}")

    def offered() -> list[str]:
        return [choice.reference for choice in pool.choices() if choice.reference.startswith("2026")]

    write("20260101-000000-a/spec.json")
    assert offered() == []
    write("20260101-000000-a/checkpoint-5/complete.json")
    assert offered() == ["20260101-000000-a/checkpoint-5"]
    write("20260101-000000-a/final_model/complete.json")
    write("20260101-000000-a/exit.json")
    write("20260102-000000-b/spec.json")
    write("20260102-000000-b/exit.json")
    for _ in range(2):  # of those that have ended it is looked up once
        assert offered() == ["20260101-000000-a", "20260101-000000-a/checkpoint-5"]
    shutil.rmtree(output / "20260101-000000-a")
    assert offered() == []
    pool.close()


def test_a_run_whose_folder_may_not_be_read_hides_no_other(launch, monkeypatch) -> None:
    launcher = launch()
    for name in ("20260101-000000-a", "20260102-000000-shut"):
        (launcher.workspace.output / name / "final_model").mkdir(parents=True)
        (launcher.workspace.output / name / "spec.json").write_text("{}")
        (launcher.workspace.output / name / "final_model" / "complete.json").write_text("{}")
    scandir = os.scandir

    def refuse(path: object) -> object:  # the tests' own user may read everything
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", refuse)
    with closing(ChatPool(launcher)) as pool:
        assert [choice.reference for choice in pool.choices()][-1] == "20260101-000000-a"


def test_p15_chats_and_runs_take_turns_on_a_gpu_and_share_it_only_where_asked(launch, tmp_path) -> None:
    copy = shutil.copytree(DEMO_MODEL, tmp_path / "copy")  # another base model
    launcher = launch("--steps", "1000", "--pause", "0.05", gpus=1)
    with closing(ChatPool(launcher)) as pool:
        assert list(pool.ask(question()))[-1].is_last
        (lease,) = launcher.runs.leases()
        assert (lease.device, lease.holder_label) == ("cuda:0", "a chat with `demo`")

        run = a_run(launcher)
        assert run.state == "queued"
        with pytest.raises(
            LaunchError, match="held: cuda:0 by a chat"
        ):  # it makes way for the run, not for another chat
            list(pool.ask(ChatRequest(str(copy), question().messages, ())))
        until(lambda: launcher.schedule() or launcher.runs.get(run.id).state == "running")  # the chat was quiet
        assert [lease.holder for lease in launcher.runs.leases()] == [run.id]

        with pytest.raises(LaunchError, match=f"cuda:0 by the run `{run.id}`"):
            list(pool.ask(question()))
        assert list(pool.ask(question(beside_runs=True)))[-1].is_last
        chat = next(lease for lease in launcher.runs.leases() if lease.process)
        assert chat.process.pid != os.getpid()
        os.kill(chat.process.pid, signal.SIGKILL)
        until(lambda: launcher.reconcile() or len(launcher.runs.leases()) == 1)
        assert [lease.holder for lease in launcher.runs.leases()] == [run.id]
    launcher.stop(run.id, "now")
    launcher.wait(run.id, poll_s=0.03)
    until(lambda: launcher.reconcile() or not launcher.runs.leases())


def test_p15_a_run_that_waits_for_a_chat_starts_when_the_chats_are_closed(launch) -> None:
    launcher = launch("--steps", "3", gpus=1)
    pool = ChatPool(launcher)
    answer = pool.ask(ChatRequest("demo", question().messages, (), ChatSettings(max_new_tokens=8000, temperature=5.0)))
    next(answer)  # somebody is talking, so the chat keeps its GPU
    run = a_run(launcher)
    assert run.state == "queued"

    pool.close()

    until(run.folder.exit.exists)  # nobody looks meanwhile
    answer.close()
    assert launcher.wait(run.id, poll_s=0.03).devices == ("cuda:0",)
