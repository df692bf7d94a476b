"""What happens to the queue while a GPU driver does not answer, or GPUs are hidden from whoever looks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from launcher_lab import until

from backend.errors import LaunchError
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from launcher import devices
from launcher.chat_process import reserve_device
from launcher.run_manager import RunManager

LISTS = "echo '0, GPU-aaaaaaaa-1, NVIDIA H100, 81559'"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with one GPU whose driver answers once this file is there; it is asked at every look."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(devices, "RETRY_S", -1.0)
    awake, program = tmp_path / "awake", tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ -e {awake} ] || {{ echo >> {tmp_path}/asked; exit 255; }}\n{LISTS}\n")
    program.chmod(0o755)
    return awake


@pytest.fixture
def launcher(launch, workspace: Workspace) -> Iterator[RunManager]:
    """It finds its devices itself."""
    found = RunManager(workspace, RunStore(workspace), launch("--steps", "2")._settings)
    yield found
    found.runs.close()


def queued(launcher: RunManager, name: str, **values: object) -> RunFolder:
    """A run that somebody else has submitted."""
    folder = RunFolder(launcher.workspace.output / f"20260101-000000-{name}")
    folder.path.mkdir()
    spec = RunSpec(name=name).with_values(dict(values))
    folder.spec.write_text(spec.model_dump_json())
    launcher.runs.add(folder.run_id, spec, 1.0)
    return folder


def test_while_a_driver_is_silent_runs_wait_and_none_is_judged(launcher: RunManager, driver: Path) -> None:
    named, any_device = queued(launcher, "named", **{"devices.gpus": (0,)}), queued(launcher, "any")

    later = launcher.submit(RunSpec(name="later").with_values({"devices.gpus": (0,), "devices.shared": True}))
    launcher.schedule()

    assert {run.state for run in launcher.runs.views()} == {"queued"}
    assert launcher.devices == ()
    with pytest.raises(LaunchError, match="does not answer"):
        reserve_device(launcher.runs, (), "demo", beside_runs=False)
    driver.touch()
    for run_id in (named.run_id, any_device.run_id, later):
        ended = launcher.wait(run_id, poll_s=0.03)
        assert (ended.state, ended.devices) == ("finished", ("cuda:0",))


@pytest.mark.long
def test_an_ending_keeper_waits_for_a_silent_driver(launch, launcher: RunManager, driver: Path) -> None:
    driver.touch()
    launcher._settings = launch("--steps", "30", "--pause", "0.05")._settings
    first = launcher.runs.get(launcher.submit(RunSpec(name="first")))
    second = queued(launcher, "second")
    assert first.devices == ("cuda:0",)

    driver.unlink()
    until(driver.with_name("asked").exists)
    assert first.folder.exit.exists()
    driver.touch()

    until(second.exit.exists)  # nobody looks meanwhile


def test_who_cannot_see_the_gpus_starts_nothing_but_his_own_runs(
    launcher: RunManager, driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.touch()
    others = [queued(launcher, "named", **{"devices.gpus": (0,)}), queued(launcher, "any")]
    impossible = queued(launcher, "impossible", **{"devices.gpus": (3,)})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    own = launcher.wait(launcher.submit(RunSpec(name="own")), poll_s=0.03)
    until(lambda: launcher.schedule() or not launcher.runs.holders())

    assert (own.state, own.devices) == ("finished", ("cpu:0",))
    assert [launcher.runs.get(folder.run_id).state for folder in others] == ["queued", "queued"]
    assert launcher.runs.get(impossible.run_id).state == "failed"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    for folder in others:
        assert launcher.wait(folder.run_id, poll_s=0.03).devices == ("cuda:0",)


def test_devices_says_that_the_driver_is_silent(driver: Path, workspace: Workspace) -> None:
    def output_of(*words: str) -> str:
        command = [sys.executable, "-m", "studio.cli", "devices", *words]
        environment = os.environ | {"STUDIO_WORKSPACE": str(workspace.root)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert "does not answer" in output_of()
    assert json.loads(output_of("--json")) == []
    driver.touch()
    assert "NVIDIA H100" in output_of()
