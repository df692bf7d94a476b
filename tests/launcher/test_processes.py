"""P5, P6, P10: a process is known by more than its pid, and only the right one is ever signalled."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.runs.folder import RUN_MARKER, ProcessRecord, RunFolder, read_record
from backend.settings import ROOT
from launcher import processes
from launcher.processes import FOLDER_MARKER, Identity, end_all, identify, is_alive, members, send

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEP, start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another boot"}])
def test_p5_a_reused_pid_is_not_our_process_and_is_not_signalled(
    sleeper: subprocess.Popen[bytes], tmp_path: Path, change: dict[str, object]
) -> None:
    own = identify(sleeper.pid)
    assert own is not None
    stale = own._replace(**change)

    assert is_alive(own)
    assert not is_alive(stale)
    assert not send(stale, signal.SIGKILL)
    assert end_all(RunFolder(tmp_path / "run"), stale, term_s=0.2)
    assert sleeper.poll() is None


@pytest.mark.parametrize("pid", [0, 1, -1, True, "12", 2**40, pytest.param(os.getpid(), id="own")])
def test_p6_pids_that_mean_everyone_or_nobody_are_never_signalled(
    pid: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(os, "kill", lambda *args: calls.append(args))
    stat = processes._stat(os.getpid())
    assert stat is not None
    odd = Identity(pid, stat.start_ticks, processes.boot_id())  # type: ignore[arg-type]

    assert not send(odd, signal.SIGTERM)
    assert end_all(RunFolder(tmp_path / "run"), odd, term_s=0.1)
    assert calls == []


@pytest.mark.parametrize("pid", [True, "12", 1.5, None, [3]])
def test_p6_a_process_record_with_an_odd_pid_is_no_record(pid: object, tmp_path: Path) -> None:
    path = tmp_path / "process.json"
    whole = ProcessRecord(
        pid=7, keeper_pid=6, keeper_start_ticks=1, start_ticks=1, boot_id="b", devices=("cpu:0",), started_at=1.0
    )
    path.write_text(whole.model_dump_json())
    assert read_record(path, ProcessRecord) == whole

    path.write_text(json.dumps(whole.model_dump() | {"pid": pid}))

    assert read_record(path, ProcessRecord) is None


def test_a_zombie_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    own = identify(sleeper.pid)
    assert own is not None

    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # ended, but not reaped

    assert not is_alive(own)
    assert identify(sleeper.pid) is None


def test_the_marker_finds_a_process_that_left_its_session(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "20260101-000000-mine")
    marks = {RUN_MARKER: folder.run_id, FOLDER_MARKER: str(folder.path)}
    ours = subprocess.Popen(SLEEP, env=os.environ | marks, start_new_session=True)
    namesake = subprocess.Popen(SLEEP, env=os.environ | marks | {FOLDER_MARKER: "/elsewhere"}, start_new_session=True)

    try:
        deadline = time.monotonic() + 60
        while not members(folder) and time.monotonic() < deadline:  # until exec has put the environment in place
            time.sleep(0.01)
        assert [one.pid for one in members(folder)] == [ours.pid]
        assert end_all(folder, None, term_s=2)
        assert ours.wait(60) == -signal.SIGTERM
        assert namesake.poll() is None
    finally:
        for process in (ours, namesake):
            process.kill()
            process.wait()


def test_p10_a_detached_process_leaves_no_zombie(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        for _ in range(10):
            processes.start_detached(["true"], environment=dict(os.environ), folder=tmp_path, output=log)

    deadline = time.monotonic() + 60
    while any(_is_zombie(pid) for pid in _children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_p1_no_file_of_ours_goes_through_a_shell() -> None:
    files = [path for package in ("launcher", "backend", "studio") for path in (ROOT / package).rglob("*.py")]
    assert len(files) > 30

    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("os.system", "os.popen", "subprocess.getoutput"), path
                assert not any(word.arg == "shell" for word in node.keywords), path


def _children() -> list[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # it went between the opening and the reading
        return False
