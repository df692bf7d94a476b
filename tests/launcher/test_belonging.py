"""P4 to P6: who belongs to a run, who may be signalled at all, and what a short command may take."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launcher_lab import a_run, until

from backend.runs.folder import FOLDER_MARKER, RUN_MARKER, RunFolder
from launcher.processes import (
    LARGEST_PID,
    CommandOutput,
    end_all,
    identify,
    is_signallable,
    members,
    run_briefly,
    start,
)

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
RENAMED = """
import ctypes, sys
print(flush=True)
sys.stdin.readline()
ctypes.CDLL(None).prctl(15, b") S 1 1 1 (", 0, 0, 0)  # PR_SET_NAME
print(flush=True)
sys.stdin.readline()
"""
STARTS_AGAIN = """
import os, subprocess, sys
marks = dict(each.split("=", 1) for each in sys.argv[1:])
for _ in range(3):
    one = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], env=os.environ | marks)
    one.wait()
"""
ODD = [0, 1, -1, -7, True, "12", None, 2.0, LARGEST_PID + 1, pytest.param(os.getpid(), id="own")]


@pytest.mark.parametrize("pid", ODD)
def test_p6_such_a_pid_may_not_be_signalled_whoever_has_it(pid: object) -> None:
    assert not is_signallable(pid)


def test_p4_a_process_without_the_marker_is_found_by_its_session(tmp_path: Path) -> None:
    leader = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"], start_new_session=True)
    own, folder = identify(leader.pid), RunFolder(tmp_path / "20260101-000000-mine")
    assert own is not None
    until(lambda: len(members(folder, own)) == 3)

    assert members(folder) == []
    assert end_all(folder, own, term_s=5)
    assert leader.wait(60) == -signal.SIGTERM


def test_p4_what_is_started_leads_a_session_of_its_own(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        process = start(SLEEP, environment=dict(os.environ), folder=tmp_path, output=log)

    assert os.getsid(process.pid) == process.pid
    process.kill()
    process.wait()


def test_p5_a_process_that_calls_itself_like_a_line_of_the_kernel_is_read_right() -> None:
    process = subprocess.Popen([sys.executable, "-c", RENAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    before = identify(process.pid)

    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()

    assert b") S 1 1 1 (" in Path(f"/proc/{process.pid}/stat").read_bytes()
    assert identify(process.pid) == before is not None
    process.communicate(b"\n", timeout=60)


def test_p4_who_is_started_while_a_run_is_being_ended_is_ended_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "20260101-000000-mine")
    marks = [f"{RUN_MARKER}={folder.run_id}", f"{FOLDER_MARKER}={folder.path}"]
    outsider = subprocess.Popen([sys.executable, "-c", STARTS_AGAIN, *marks])
    until(lambda: len(members(folder)) == 1)

    try:
        assert end_all(folder, None, term_s=0.3, kill_s=20)
        assert outsider.wait(60) == 0
        assert members(folder) == []
    finally:
        outsider.kill()
        outsider.wait()
        end_all(folder, None, term_s=0.3)


def test_p4_when_an_end_is_told_nobody_of_the_run_is_left(launch) -> None:
    launcher = launch("--steps", "1", "--strays", "1", "--children", "1")
    run = a_run(launcher)
    launcher.runs.close()  # so that nobody else looks after it

    until(run.folder.exit.exists)

    assert members(run.folder) == []


def test_a_short_command_that_takes_long_is_killed(tmp_path: Path) -> None:
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    answer = run_briefly((sys.executable, "-c", code), timeout_s=3)

    assert answer == CommandOutput(None, "")
    pid = int((tmp_path / "pid").read_text())
    until(lambda: identify(pid) is None, timeout_s=20)
