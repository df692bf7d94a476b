"""How the web process starts, whom it refuses, and what it does while it serves."""

import fcntl
import os
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.errors import LaunchError
from backend.settings import ROOT, Workspace
from studio.services import PREPARED
from studio.web.server import LOCK, serve, workspace_lock
from tests.benchmarks.loaded_workspace import write_run
from tests.serving import SERVE, Served, start_serving, stop_serving
from tests.studio.events import Events

WRITING = 4  # visitors who keep something while the index is locked
LOCKED_S = 4.0  # less than a writer waits for its turn


def a_workspace(root: Path) -> Workspace:
    workspace = Workspace(root)
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    return workspace


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`studio ui ...`, for starts that are refused."""
    code = "from studio.cli.main import app; app()"
    return subprocess.run(
        [sys.executable, "-c", code, "ui", *arguments], cwd=ROOT, env=os.environ | environment, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "studio.example.com"])
def test_w2_a_public_address_is_refused_with_what_to_do_instead(tmp_path: Path, host: str):
    with pytest.raises(LaunchError, match=f"`{host}` can be reached from other machines") as caught:
        serve(Workspace(tmp_path), host=host)

    assert "ssh -L" in caught.value.hint


def test_w1_w2_gradio_settings_of_the_environment_change_nothing(tmp_path: Path):
    refused = started("--host", "0.0.0.0", "--workspace", str(tmp_path), GRADIO_SHARE="True")
    assert refused.returncode == 2
    assert "can be reached from other machines" in refused.stderr

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SHARE": "True", "GRADIO_MCP_SERVER": "True",
                            "GRADIO_ALLOWED_PATHS": "/etc", "GRADIO_ROOT_PATH": "/else"}.items():  # fmt: skip
            patch.setenv(name, value)
        served = start_serving(a_workspace(tmp_path))
    try:
        assert served.address.startswith("http://127.0.0.1:")
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = {local for _, local, _, state, *_ in rows if state == "0A"}
        port = f"{int(served.address.rsplit(':', 1)[1]):04X}"
        assert f"0100007F:{port}" in listening
        assert f"00000000:{port}" not in listening
        assert httpx.get(f"{served.address}/gradio_api/file=/etc/passwd").status_code == 403
        assert '"root":"http://127.0.0.1' in httpx.get(served.address).text.replace(" ", "")
    finally:
        stop_serving(served)


SERVE_IN_VAIN = f"""
{SERVE}
from backend.errors import LaunchError
try:
    serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]))
except LaunchError as error:
    print(error.message, error.hint, "gradio" in sys.modules, sep="\\n")
"""


def test_a_taken_port_is_told_before_anything_heavy_is_loaded(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        refused = subprocess.run([sys.executable, "-c", SERVE_IN_VAIN, tmp_path, str(port)], cwd=ROOT,
                                 capture_output=True, text=True, check=True)  # fmt: skip

    message, hint, is_heavy = refused.stdout.splitlines()
    assert f"Port {port} on `127.0.0.1` cannot be used" in message
    assert f"--port {port + 1}" in hint
    assert is_heavy == "False"


def test_d7_a_workspace_that_cannot_be_written_is_told_in_words(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match="cannot be written") as caught:
        serve(Workspace(tmp_path / "file"))

    assert "--workspace" in caught.value.hint


def test_d7_a_lock_that_cannot_be_opened_is_told_in_words(tmp_path: Path):
    workspace = a_workspace(tmp_path)
    (workspace.output / LOCK).mkdir()

    with pytest.raises(LaunchError, match="cannot be written: Is a directory") as caught:
        serve(workspace)

    assert "--workspace" in caught.value.hint


def test_m4_a_second_studio_on_the_same_workspace_is_refused(studio: Served):
    refused = started("--workspace", str(studio.workspace.root))

    assert refused.returncode == 2
    assert f"process {studio.process.pid}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_m4_a_killed_studio_leaves_no_lock_behind(tmp_path: Path):
    workspace = a_workspace(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", f"{SERVE} serve(Workspace(Path(sys.argv[1])), port=0)", tmp_path],
                               cwd=ROOT, stdout=subprocess.DEVNULL)  # fmt: skip
    lock, deadline = workspace.output / LOCK, time.monotonic() + 60
    while not (lock.exists() and lock.read_text().startswith(f"{process.pid} ")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()

    with (
        workspace_lock(workspace),
        pytest.raises(LaunchError, match=f"process {os.getpid()}"),
        workspace_lock(workspace),
    ):
        pass


def test_the_lock_is_not_inherited_by_runs(tmp_path: Path):
    workspace = a_workspace(tmp_path)
    with workspace_lock(workspace):
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        with (workspace.output / "studio.lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)  # would wait for the sleeper's end, and the test's time-out
            assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_s10_a_locked_index_delays_no_answer_and_loses_nothing_that_is_written_meanwhile(tmp_path: Path):
    workspace = a_workspace(tmp_path)
    visitors = [write_run(workspace, number).name for number in range(WRITING)]
    served = start_serving(workspace)
    lock = sqlite3.connect(workspace.database, isolation_level=None)
    try:
        with httpx.Client(base_url=served.address, timeout=30) as ask, ThreadPoolExecutor(WRITING) as busy:
            runs, events = wait_for_runs(ask, WRITING), Events(ask)
            show, keep = events.at("run-list", "change"), events.at("run-keep", "click")
            for run_id in visitors:
                events.call(show, [runs[run_id], None], run_id)
            lock.execute("BEGIN EXCLUSIVE")
            begun = time.monotonic()
            written = [busy.submit(events.call, keep, [runs[run_id], None, f"new {run_id}", "kept"], run_id)
                       for run_id in visitors]  # fmt: skip
            waits = []
            while time.monotonic() - begun < LOCKED_S:
                asked = time.monotonic()
                assert ask.get("/healthz").status_code == 200
                waits.append(time.monotonic() - asked)
                time.sleep(0.05)
            assert not any(each.done() for each in written)
            lock.execute("ROLLBACK")
            for each in written:
                assert '"success":true' in each.result()
            assert {row["name"] for row in wait_for_runs(ask, WRITING).values()} == {f"new {each}" for each in visitors}
    finally:
        lock.close()
        stop_serving(served)

    assert sorted(waits)[len(waits) * 9 // 10] < LOCKED_S / 4  # who waited for the index would wait for all of it


def wait_for_runs(ask: httpx.Client, many: int) -> dict[str, dict[str, Any]]:
    """What the list tells of the runs, by id, once it knows so many."""
    deadline = time.monotonic() + 20
    while len(rows := ask.get("/api/runs").json()["runs"]) < many:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return {row["id"]: row for row in rows}


def test_an_answer_does_not_wait_for_the_one_before_it_to_be_acknowledged(ask: httpx.Client):
    """Nagle's algorithm would hold the second part of each back for 40 ms."""
    waits = []
    for _ in range(30):
        begun = time.monotonic()
        assert ask.get("/nothing").status_code == 404
        waits.append(time.monotonic() - begun)

    assert min(waits[15:]) < 0.03  # the kernel acknowledges at once what comes first on a connection


@pytest.mark.parametrize("path", ["/ui/js/dom.js", "/zh/ui/js/evaluate.js", "/ui/css/login.css"])
def test_scripts_and_styles_are_asked_about_each_time(ask: httpx.Client, path: str):
    first = ask.get(path)
    again = ask.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert [answer.status_code for answer in (first, again)] == [200, 304]
    assert [answer.headers["cache-control"] for answer in (first, again)] == ["no-cache"] * 2


def test_w13_a_made_up_upload_is_no_way_to_a_file(ask: httpx.Client, studio: Served):
    config = ask.get("/config").json()
    files = {component["id"] for component in config["components"] if component["type"] == "file"}
    taking = [each for each in config["dependencies"] if set(each["inputs"]) & files]
    assert taking

    for dependency in taking:
        made_up = {"path": str(studio.workspace.database), "meta": {"_type": "gradio.FileData"}}
        data = [[made_up] if component in files else None for component in dependency["inputs"]]
        answer = ask.post(
            "/gradio_api/run/predict", json={"fn_index": dependency["id"], "data": data, "session_hash": "x"}
        )
        assert (answer.status_code, str(studio.workspace.root) in answer.text) == (400, False)

    assert not list(studio.workspace.uploads.glob("import-*"))
