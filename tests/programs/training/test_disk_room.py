"""D2: space is looked at before a run and while it runs."""

import shutil
from collections import namedtuple

import pytest
from accelerate.state import AcceleratorState, GradientState, PartialState

from backend.catalog.disk_space import RESERVE_BYTES, disk_need, refuse_full_disk
from backend.catalog.trainable_parameters import trained_table
from backend.errors import LaunchError
from backend.programs.training.checkpoint_manager import DiskBudget
from backend.programs.training.distributed import join_group, leave_group
from backend.programs.training.program import train
from backend.runs.events import EventWriter, read_all
from backend.spec.run import RunSpec
from launcher.commands import free_port

pytestmark = pytest.mark.torch

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def alone_in_its_group(monkeypatch):
    """This process, as DeepSpeed's launcher would have started it."""
    given = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "DS_ACCELERATOR": "cpu"}
    for name, value in (given | {"MASTER_PORT": str(free_port(set()))}).items():
        monkeypatch.setenv(name, value)
    join_group()
    yield
    leave_group()
    for state in (AcceleratorState, GradientState):
        state._reset_state()
    PartialState._shared_state.clear()


@pytest.fixture
def free(monkeypatch):
    """Set what the disk says it has left."""

    def left(size: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**15, 10**15 - size, size))

    return left


def test_d2_a_run_whose_first_checkpoint_cannot_fit_is_refused_before_it_starts(lab, free) -> None:
    spec = lab.spec({"saving.every_minutes": 10})
    need = disk_need(spec, trained_table(spec, lab.workspace))

    free(need.least + RESERVE_BYTES)
    refuse_full_disk(spec, lab.workspace)
    free(need.least + RESERVE_BYTES - 1)
    with pytest.raises(LaunchError, match=r"needs at least .* of disk") as refused:
        refuse_full_disk(spec, lab.workspace)

    assert "deleting old runs" in refused.value.hint


def test_d2_the_estimate_is_what_a_real_checkpoint_takes(lab) -> None:
    for name in ("full", "lora"):
        spec = lab.spec({"strategy.name": name, "saving.every_steps": 2, "optimiser.max_steps": 3})
        folder = lab.train({f"room {name}": spec})[f"room {name}"]
        need = disk_need(spec, trained_table(spec, lab.workspace))
        sizes = [
            sum(path.stat().st_size for path in (folder.path / part).rglob("*.*") if path.stat().st_size > 100_000)
            for part in ("checkpoint-2", "final_model")
        ]
        assert sizes == [pytest.approx(each, rel=0.5, abs=2_000_000) for each in (need.checkpoint, need.final)]


def test_d2_room_is_what_the_last_checkpoint_took(tmp_path, free) -> None:
    room = DiskBudget(tmp_path, 1000)
    free(RESERVE_BYTES + 999)
    assert "nearly full" in room.shortage()

    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "weights").write_bytes(b"x" * 900)
    room.measure(tmp_path / "checkpoint")

    assert room.shortage() == ""


def test_d2_without_room_training_goes_on_without_checkpoints_and_says_so_once(lab, free, alone_in_its_group) -> None:
    spec = lab.spec({"strategy.name": "lora", "saving.every_steps": 1, "optimiser.max_steps": 4})
    folder = lab.folder("no room", spec)
    free(RESERVE_BYTES)
    events = EventWriter(folder.events)

    train(folder, events)

    events.close()
    told = read_all(folder.events)
    assert [each.step for each in told if "nearly full" in str(each.values.get("text"))] == [1]
    assert folder.checkpoints() == []
    assert folder.has_final_model
    assert told[-1].values["outcome"] == "finished"


def test_d2_only_training_needs_room_for_checkpoints(lab, free) -> None:
    free(0)
    refuse_full_disk(RunSpec(kind="evaluation"), lab.workspace)
    with pytest.raises(LaunchError, match="0 MB are free"):
        refuse_full_disk(RunSpec(kind="sft"), lab.workspace)
