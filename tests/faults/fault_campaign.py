"""Kill a studio's processes at random moments, and look whether what is told afterwards is true.

The web process, keepers and importers are the real ones; what the keepers start is `tests/fakes/fake_trainer.py`, which
speaks the same files as a training program. One person uses the workspace meanwhile: the process this runs in.
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.datasets import DEMO_DATASETS, write_rows
from backend.runs.events import read_all
from backend.runs.folder import ExitRecord, ProcessRecord, read_record
from backend.settings import ROOT, Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from backend.store.views import RunView
from launcher.devices import CPU, Device
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager
from studio.services import PREPARED
from tests.serving import free_port

FAKES = ROOT / "tests" / "fakes"
STEPS, PAUSE_S = 30, 0.02
UPLOADED_ROWS = 24
PATIENCE_S = 90.0
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@dataclass
class Found:
    """What was done, and what was wrong afterwards."""

    kills: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)  # it had ended before the kill
    states: Counter[str] = field(default_factory=Counter)  # `killed trainer: failed`
    runs: int = 0
    lines: int = 0  # whole lines that programs wrote, each looked for in the index
    imports: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self, is_right: object, what: str) -> None:
        """Note what is wrong."""
        if not is_right:
            self.wrong.append(what)


class WebProcess:
    """A web process that is killed again and again, from a thread of its own."""

    def __init__(self, workspace: Workspace, chance: random.Random, found: Found) -> None:
        self.workspace, self.chance, self.found = workspace, chance, found
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        argv = (sys.executable, str(FAKES / "fake_studio.py"), str(self.workspace.root), str(self.port),
                "--steps", str(STEPS), "--pause", str(PAUSE_S))  # fmt: skip
        with (self.workspace.root / "studio.log").open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=ENVIRONMENT, stdout=log, stderr=log)

    def wait_until_up(self) -> None:
        def is_up() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(f"{self.address}/healthz", timeout=2).status_code == 200
            return False

        until(is_up)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.found.kills["web process"] += 1

    def kill_and_start_again(self, times: int, most_s: float) -> None:
        """So many times: wait a moment, kill it and start it again. Every other time while it is still starting."""
        for number in range(times):
            if number % 2 == 0:
                self.wait_until_up()
            time.sleep(self.chance.uniform(0, most_s))
            self.kill()
            self.start()
        self.wait_until_up()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=30)


class Campaign:
    """All rounds on one workspace."""

    def __init__(self, root: Path, seed: int, steps: int = STEPS) -> None:
        self.workspace = Workspace(root)
        self.workspace.prepare()
        (self.workspace.data / PREPARED).touch()
        self.chance, self.found, self.steps = random.Random(seed), Found(), steps
        program = (sys.executable, str(FAKES / "fake_trainer.py"), "--steps", str(steps), "--pause", str(PAUSE_S))
        self.settings = KeeperSettings(program=program, poll_s=0.05, now_grace_s=5, term_s=1)
        self.launcher = self._opened()
        self.web = WebProcess(self.workspace, random.Random(seed + 1), self.found)

    def run(self, kills: dict[str, int], most_s: float = 1.5) -> Found:
        """Kill so many of each kind, then look at everything."""
        self.web.start()
        killer = threading.Thread(target=self.web.kill_and_start_again, args=(kills["web process"], most_s))
        killer.start()
        rounds = [kind for kind, count in kills.items() for _ in range(count) if kind != "web process"]
        self.chance.shuffle(rounds)
        acts = {"trainer": self.kill_trainer, "keeper": self.kill_keeper, "importer": self.kill_importer}
        for kind in rounds:
            acts[kind]()
        for kind, act in acts.items():
            while self.found.kills[kind] < kills[kind]:  # some had ended before they could be killed
                act()
        killer.join()
        self.look_at_everything()
        return self.found

    def kill_trainer(self) -> None:
        """Kill what a keeper watches over: the run failed, unless it had said before that it was through."""
        run = self._begun("trainer")
        self._wait_a_while()
        process = read_record(run.folder.process, ProcessRecord)
        assert process is not None
        is_killed = self._kill(process.pid, "trainer", run)
        ended = self._ended(run)
        has_ended = any(event.kind == "end" for event in read_all(run.folder.events))
        if is_killed and not has_ended:
            self.found.check(
                ended.state == "failed" and "killed" in ended.reason, f"{state_of(ended)} after its program was killed"
            )
        else:
            self.found.check(ended.state in ("finished", "failed"), f"{state_of(ended)} after a late kill")

    def kill_keeper(self) -> None:
        """Kill a keeper: the run is lost, unless the keeper had written down before how it ended."""
        run = self._begun("keeper")
        self._wait_a_while()
        process = read_record(run.folder.process, ProcessRecord)
        assert process is not None
        is_killed = self._kill(process.keeper_pid, "keeper", run)
        record = read_record(run.folder.exit, ExitRecord)
        ended = self._ended(run)
        if is_killed and record is None:
            self.found.check(
                ended.state == "lost" and "keeper" in ended.reason, f"{state_of(ended)} after its keeper was killed"
            )
        else:
            self.found.check(
                record is not None and ended.state == record.state, f"{state_of(ended)} but its keeper wrote otherwise"
            )
        self._kill_check(run)

    def kill_importer(self) -> None:
        """Kill an import: the dataset is whole or absent, and the next import clears up and succeeds."""
        upload = self._an_upload(self.found.imports)
        name = upload.name
        self.found.imports += 1
        argv = (sys.executable, "-m", "studio.cli", "dataset", "import", str(upload), "--name", name)
        environment = ENVIRONMENT | {"STUDIO_WORKSPACE": str(self.workspace.root)}
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: any(self.workspace.staging.iterdir()) or process.poll() is not None)  # it is at work now
        time.sleep(self.chance.uniform(0, 0.5))
        is_there = process.poll() is None
        process.kill()
        process.wait()
        (self.found.kills if is_there else self.found.late)["importer"] += 1
        store = DatasetStore(self.workspace)
        if name in store.names():
            self.found.check(store.check(name) == [], f"the dataset {name} is there and not whole")
            self.found.states["killed importer: dataset whole"] += 1
            store.delete(name)
        else:
            self.found.states["killed importer: no dataset"] += 1
        store.import_dataset(upload, ImportOptions(name=name))
        self.found.check(store.check(name) == [], f"the dataset {name} is not whole after all")
        self.found.check(not any(self.workspace.staging.iterdir()), "staging holds something after an import")
        shutil.rmtree(upload)

    def look_at_everything(self) -> None:
        """What has to be true at the end, whatever was killed."""
        found, store = self.found, self.launcher.runs
        last = self._ended(self.launcher.runs.get(self.launcher.submit(RunSpec(name="the last one"))))
        found.check(last.state == "finished", f"{state_of(last)}, which nobody touched")
        self._look_at_web(store)
        self.web.stop()
        self.launcher.reconcile()
        until(lambda: not self._alive() or None, 20)
        found.check(not self._alive(), f"processes are left: {self._alive()}")
        found.check(store.holders() == {}, f"devices are still held: {store.holders()}")
        runs = store.views(100_000)
        found.runs = len(runs)
        for run in runs:
            self._look_at_run(run)
        with sqlite3.connect(self.workspace.database) as connection:
            found.check(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the index is damaged")
        self._look_at_rebuilt(runs)

    def close(self) -> None:
        """Close the index; end what is left."""
        self.launcher.runs.close()
        if self.web.process is not None and self.web.process.poll() is None:
            self.web.process.kill()
            self.web.process.wait()
        for pid in self._alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _look_at_web(self, store: RunStore) -> None:
        """The web process that was started last lists what there is."""
        listed = httpx.get(f"{self.web.address}/api/runs", timeout=30).json()["runs"]
        listed_states = {row["id"]: row["state"] for row in listed}
        known = {str(run.id): run.state for run in store.views(100_000)}
        self.found.check(listed_states == known, "the web process that was started again lists other runs")

    def _look_at_run(self, run: RunView) -> None:
        self.found.check(run.is_over, f"{state_of(run)} at the end")
        written = [event for event in read_all(run.folder.events) if event.kind == "metric"]
        (series,) = self.launcher.runs.curves([run.id], "loss").series
        self.found.lines += len(written)
        self.found.check(series.steps == [event.step for event in written], f"{run.id}: lines are missing in the index")

    def _look_at_rebuilt(self, runs: list[RunView]) -> None:
        """An index that is made anew from the folders tells the same."""
        states = {run.id: (run.state, run.reason, run.hint, run.step, run.metrics) for run in runs}
        self.launcher.runs.close()
        for path in self.workspace.output.glob("studio.db*"):
            path.unlink()
        self.launcher = self._opened()
        self.launcher.reconcile()
        anew = self.launcher.runs.views(100_000)
        again = {run.id: (run.state, run.reason, run.hint, run.step, run.metrics) for run in anew}
        for run_id in states.keys() | again.keys():
            self.found.check(
                states.get(run_id) == again.get(run_id), f"{run_id}: {states.get(run_id)} became {again.get(run_id)}"
            )

    def _begun(self, kind: str) -> RunView:
        """Submit a run, and wait until its keeper has written down who runs."""
        run = self.launcher.runs.get(self.launcher.submit(RunSpec(name=f"{kind} round")))
        until(lambda: self.launcher.schedule() or read_record(run.folder.process, ProcessRecord))
        return run

    def _wait_a_while(self) -> None:
        time.sleep(self.chance.uniform(0, self.steps * PAUSE_S))

    def _kill(self, pid: int, kind: str, run: RunView) -> bool:
        """Kill a process of a run; tell whether it was still there."""
        needle = str(run.folder.path).encode()
        try:
            is_it = needle in Path(f"/proc/{pid}/cmdline").read_bytes()
            if is_it:
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            is_it = False
        (self.found.kills if is_it else self.found.late)[kind] += 1
        return is_it

    def _ended(self, run: RunView) -> RunView:
        until(lambda: self.launcher.reconcile() or self.launcher.runs.get(run.id).is_over or self.launcher.schedule())
        ended = self.launcher.runs.get(run.id)
        self.found.states[f"{run.name}: {ended.state}"] += 1
        return ended

    def _kill_check(self, run: RunView) -> None:
        """Nothing of a run that is over may be at work."""
        left = [pid for pid in self._alive() if f"STUDIO_RUN_ID={run.id}".encode() in _seen(pid)]
        self.found.check(not left, f"{run.id} is over, and {left} are still there")

    def _alive(self) -> list[int]:
        """Processes that name this workspace in their command line or environment."""
        needle = str(self.workspace.root).encode()
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        return [pid for pid in pids if pid != os.getpid() and needle in _seen(pid)]

    def _opened(self) -> RunManager:
        return RunManager(self.workspace, RunStore(self.workspace), self.settings, (Device(CPU, "measured", 1),))

    def _an_upload(self, number: int) -> Path:
        """A few rows that no other upload has."""
        folder = self.workspace.root / "uploads" / f"rows-{number}"
        write_rows(replace(DEMO_DATASETS[0], rows=UPLOADED_ROWS, seed=number), folder)
        return folder


def state_of(run: RunView) -> str:
    """A run in a few words."""
    return f"{run.id} is {run.state} ({run.reason})"


def until(claim: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until it is true, or so long."""
    deadline = time.monotonic() + patience_s
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.03)


def _seen(pid: int) -> bytes:
    try:
        if (Path("/proc") / str(pid) / "stat").read_bytes().rsplit(b")", 1)[1].split()[0] == b"Z":
            return b""
        return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
