"""A workspace with a launcher whose runs are fakes; nothing of them may outlive a test."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.settings import Workspace
from backend.store.runs import RunStore
from launcher.devices import Device
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager

FAKE = Path(__file__).parents[1] / "fakes" / "fake_trainer.py"
# Patient with programs that obey, since a busy machine is slow; `IMPATIENT` is for those that do not.
HURRY = {"poll_s": 0.03, "pause_s": 0.2, "save_grace_s": 30, "now_grace_s": 30, "term_s": 0.5, "hang_s": 30}

Launch = Callable[..., RunManager]


def settings_for(*behaviour: str, **patience: float) -> KeeperSettings:
    return KeeperSettings(program=(sys.executable, str(FAKE), *behaviour), **{**HURRY, **patience})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def launch(workspace: Workspace) -> Iterator[Launch]:
    """Build launchers: `launch("--steps", "5", gpus=2, hang_s=1)`; each opens the index anew, as a process would."""
    opened: list[RunManager] = []

    def build(*behaviour: str, gpus: int = 0, **patience: float) -> RunManager:
        settings = settings_for(*behaviour, **patience)
        slots = tuple(Device(f"cuda:{index}", "fake", 1) for index in range(gpus)) or (Device("cpu:0", "fake", 1),)
        opened.append(RunManager(workspace, RunStore(workspace), settings, slots))
        return opened[-1]

    yield build
    for launcher in opened:
        launcher.runs.close()
    deadline = time.monotonic() + 60
    while (left := processes_below(workspace)) and time.monotonic() < deadline:  # keepers are looking for the next run
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes of a run outlived the test"


def processes_below(workspace: Workspace) -> list[int]:
    """Find living processes of any run of `workspace`, keepers included: their command line or environment names it."""
    needle, found = str(workspace.root).encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            seen = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            is_zombie = (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()[0] == b"Z"
        except OSError:
            continue
        if needle in seen and not is_zombie:
            found.append(int(entry.name))
    return found
