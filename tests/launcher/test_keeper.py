"""What a keeper writes down of runs that end in different ways, each a real process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launcher_lab import IMPATIENT, a_run, until

from backend.runs.folder import CommandRecord, ExitRecord, ProcessRecord, RunFolder, read_record
from backend.settings import ROOT
from launcher.keeper_lock import is_locked, take_lock
from launcher.processes import identify
from launcher.run_manager import RunManager


def ended(launcher: RunManager, **values: object) -> ExitRecord:
    run = launcher.wait(a_run(launcher, **values).id, poll_s=0.03)
    record = read_record(run.folder.exit, ExitRecord)
    assert record is not None
    assert (run.state, run.reason, run.hint) == (record.state, record.reason, record.hint)
    return record


@pytest.mark.parametrize(
    ("behaviour", "state", "code", "number", "reason"),
    [
        ((), "finished", 0, None, ""),
        (("--outcome", "none"), "failed", 0, None, "never said"),
        (("--exit", "1", "--outcome", "none", "--say", "ValueError: no"), "failed", 1, None, "ValueError: no"),
        (("--exit", "247", "--outcome", "none"), "failed", 247, "SIGKILL", "SIGKILL"),
        (("--die-by", "9", "--outcome", "none"), "failed", None, "SIGKILL", "SIGKILL"),
        (("--exit", "3", "--outcome", "none", "--error-note", "No rows"), "failed", 3, None, "No rows"),
    ],
)
def test_p7_a_real_end_is_written_down_as_it_was(
    launch, behaviour: tuple[str, ...], state: str, code: int | None, number: str | None, reason: str
) -> None:
    record = ended(launch(*behaviour))

    assert (record.state, record.exit_code, record.signal) == (state, code, number)
    assert reason in record.reason
    assert record.duration_s > 0
    assert record.peak_memory_bytes > 1 << 20


def test_a_program_that_is_missing_is_a_failure_with_its_name(launch, workspace) -> None:
    launcher = launch()
    launcher._settings = launcher._settings.model_copy(update={"program": ("/no/such/program",)})

    record = ended(launcher)

    assert record.state == "failed"
    assert record.raw_status is None
    assert "/no/such/program" in record.reason


def test_p3_five_megabytes_of_output_need_no_reader(launch) -> None:
    launcher = launch("--flood", "5000000", "--steps", "1")

    run = launcher.wait(a_run(launcher).id, poll_s=0.03)

    assert run.state == "finished"
    assert run.folder.log.stat().st_size >= 5_000_000


def test_p14_a_program_that_hangs_after_its_end_has_finished_and_is_reaped(launch) -> None:
    launcher = launch("--hang-after-end", "--steps", "1", **IMPATIENT)

    run = launcher.wait(a_run(launcher).id, poll_s=0.03)

    assert run.state == "finished"
    assert "did not end by themselves" in run.reason


def test_p17_a_port_that_was_taken_meanwhile_is_replaced(launch) -> None:
    launcher = launch("--port-taken-once", "--master_port", "1")

    run = launcher.wait(a_run(launcher).id, poll_s=0.03)

    command = read_record(run.folder.command, CommandRecord)
    assert run.state == "finished"
    assert command is not None
    assert command.argv[command.argv.index("--master_port") + 1] != "1"
    assert (run.folder.path / "port_seen").read_text() == "1"


def test_d3_a_log_that_grows_too_long_keeps_its_end(launch) -> None:
    launcher = launch("--flood", "3000000", "--steps", "2", "--hang-after-end", hang_s=0.6, max_log_bytes=1_000_000)

    run = launcher.wait(a_run(launcher).id, poll_s=0.03)

    assert run.folder.log.stat().st_size <= 1_000_000
    assert launcher.log_tail(run.id, 3).splitlines()[-1] == "x" * 999
    assert run.folder.log.read_bytes().startswith(b"[earlier lines were removed")


def test_a_second_keeper_leaves_a_run_to_the_first(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.process.exists)
    before = run.folder.process.read_bytes()

    assert is_locked(run.folder)
    assert take_lock(run.folder) is None
    launcher.stop(run.id)
    assert launcher.wait(run.id, poll_s=0.03).reason == "It was stopped on request, after saving"
    assert run.folder.process.read_bytes() == before


def keep_again(folder: RunFolder) -> subprocess.CompletedProcess[str]:
    """Start another keeper for a run, as somebody by hand or a confused launcher would."""
    argv = [sys.executable, "-m", "launcher.keeper", str(folder.path)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_p11_a_second_keeper_starts_no_second_program(launch) -> None:
    launcher = launch("--steps", "300", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.events.exists)
    before = run.folder.process.read_bytes()

    second = keep_again(run.folder)

    assert (second.returncode, second.stderr.strip()) == (1, f"{run.id} has a keeper already, or has ended")
    assert run.folder.process.read_bytes() == before
    launcher.stop(run.id, "now")
    assert launcher.wait(run.id, poll_s=0.03).state == "stopped"


def test_p11_a_keeper_for_a_run_that_has_ended_leaves_it_as_it_is(launch) -> None:
    launcher = launch("--steps", "1")
    run = launcher.wait(a_run(launcher).id, poll_s=0.03)
    until(lambda: not is_locked(run.folder))
    before = {path.name: path.read_bytes() for path in run.folder.path.iterdir() if path.is_file()}

    second = keep_again(run.folder)

    assert (second.returncode, second.stderr.strip()) == (1, f"{run.id} has a keeper already, or has ended")
    assert {path.name: path.read_bytes() for path in run.folder.path.iterdir() if path.is_file()} == before


def test_a_keeper_told_to_end_ends_its_run_in_order(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05", "--deaf", **IMPATIENT)
    run = a_run(launcher)
    until(run.folder.process.exists)
    process = read_record(run.folder.process, ProcessRecord)
    assert process is not None

    os.kill(process.keeper_pid, signal.SIGTERM)

    assert launcher.wait(run.id, poll_s=0.03).state == "stopped"
    assert identify(process.pid) is None


def test_room_for_the_last_word_is_kept_while_a_run_is_at_work(launch) -> None:
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.process.exists)
    kept = run.folder.ballast.stat()

    launcher.stop(run.id, "now")
    launcher.wait(run.id, poll_s=0.03)

    assert kept.st_size >= 16_384
    assert not run.folder.ballast.exists()


def test_p16_a_keeper_that_cannot_write_its_last_word_says_so_and_starts_the_next_run(launch) -> None:
    launcher = launch("--steps", "10", "--pause", "0.1", write_s=0.3)
    first, second = a_run(launcher, "first"), a_run(launcher, "second")
    launcher.runs.close()
    until(first.folder.events.exists)

    first.folder.exit.mkdir()  # where its file has to lie

    until(second.folder.exit.exists)  # nobody looks meanwhile
    lost = launch().runs.get(first.id)
    assert (lost.state, lost.reason) == ("lost", "Its keeper could not write down how it ended")


def test_p16_a_keeper_tries_again_where_the_next_run_cannot_be_started_at_once(launch, workspace) -> None:
    launcher = launch("--steps", "10", "--pause", "0.1")
    first, second = a_run(launcher, "first"), a_run(launcher, "second")
    launcher.runs.close()
    aside = [path.rename(workspace.root / path.name) for path in workspace.output.glob("studio.db*")]
    workspace.database.write_text("not a database at all, but long enough to look at" * 20)

    until(first.folder.exit.exists)
    until(lambda: "trying again" in (first.folder.path / "keeper.log").read_text())
    for path in sorted(aside, reverse=True):  # the index itself last
        path.rename(workspace.output / path.name)

    until(second.folder.exit.exists)  # nobody looks meanwhile
    assert launch().wait(second.id, poll_s=0.03).state == "finished"


def test_p19_a_run_sees_no_secret_of_the_studio(launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    monkeypatch.setenv("STUDIO_SECRET", "do not tell")
    launcher = launch("--steps", "1000", "--pause", "0.05")
    run = a_run(launcher)
    until(run.folder.process.exists)
    process = read_record(run.folder.process, ProcessRecord)
    assert process is not None

    seen = dict(pair.split("=", 1) for pair in _environment(process.pid) if pair)
    keeper_sees = _environment(process.keeper_pid)
    launcher.stop(run.id, "now")
    launcher.wait(run.id, poll_s=0.03)

    command = json.loads(RunFolder(run.folder.path).command.read_text())
    assert seen == command["env"]
    assert seen["STUDIO_RUN_ID"] == run.id
    assert not {"HF_TOKEN", "STUDIO_SECRET"} & set(seen)
    assert not any(pair.startswith(("HF_TOKEN", "STUDIO_")) for pair in keeper_sees)


def _environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")
