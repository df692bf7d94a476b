"""Checkpoints under fault: half of one is none, the record comes last, a changed byte is found, the best one stays."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from saving_lab import changed_model, checkpoints_of
from typer.testing import CliRunner

from backend.catalog.checkpoints import read_record, verify
from backend.errors import CheckpointError
from backend.runs.events import EventWriter
from backend.runs.export_request import ExportRequest
from backend.settings import ROOT, Workspace
from studio.cli import context
from studio.cli.main import app

pytestmark = pytest.mark.torch
PROGRAM = Path(__file__).with_name("cut_off_saves.py")


@pytest.fixture(scope="module")
def adapter(untrained):
    return changed_model(untrained, "lora")


@pytest.fixture
def run(adapter, encoder, tmp_path):
    """A run with one checkpoint, and who writes the next."""
    workspace = Workspace(tmp_path)
    workspace.prepare()
    model, spec = adapter
    checkpoints, folder = checkpoints_of(workspace, model, encoder, spec.with_values({"saving.keep": 1}))
    checkpoints.write(4)
    return checkpoints, folder


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 0x10
    path.write_bytes(bytes(content))


def test_c1_c9_a_save_cut_off_at_any_step_leaves_the_former_or_the_new_whole(untrained, tmp_path):
    shutil.copytree(untrained, tmp_path / "untrained")

    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{PROGRAM.parent}", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["former"] > 15
    assert found["new"] > 3


def test_c2_the_record_is_written_after_every_file_is_synced_and_the_name_after_that(run, monkeypatch):
    checkpoints, folder = run
    told: list[tuple[str, object]] = []
    sync, replace, rename = os.fsync, Path.replace, Path.rename

    def tell_sync(handle: int) -> None:
        told.append(("sync", os.fstat(handle).st_ino))
        sync(handle)

    def tell_replace(self: Path, target: Path) -> Path:
        inside = [path.stat() for path in (self.parent, *self.parent.rglob("*")) if path != self]
        told.append((f"replace {target.name}", [each.st_ino for each in inside]))
        assert not target.exists()
        return replace(self, target)

    def tell_rename(self: Path, target: Path) -> Path:
        told.append((f"rename {self.name} {target.name}", (self.stat().st_dev, target.parent.stat().st_dev)))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", tell_sync)
    monkeypatch.setattr(Path, "replace", tell_replace)
    monkeypatch.setattr(Path, "rename", tell_rename)

    checkpoints.write(8)

    acts = [act for act, _ in told]
    record, name = acts.index("replace complete.json"), acts.index("rename .checkpoint-8.partial checkpoint-8")
    synced = {inode for act, inode in told[:record] if act == "sync"}
    assert len(told[record][1]) > 8
    assert set(told[record][1]) <= synced
    assert record < name
    assert len(set(told[name][1])) == 1  # one file system, so that the name comes at once
    assert ("sync", folder.path.stat().st_ino) in told[name:]


def test_c3_one_changed_byte_in_any_file_is_found_by_its_name(run):
    _, folder = run
    checkpoint = folder.path / "checkpoint-4"
    record = verify(checkpoint)
    assert {"adapter_model.safetensors", "adapter_config.json", "state/optimizer.pt"} <= record.sha256.keys()
    assert record.sha256.keys() == record.sizes.keys()

    for number, name in enumerate(record.sizes):
        flip(checkpoint / name, 37 * number + 11)
        with pytest.raises(CheckpointError, match=f"damaged: `{name}` is not what was saved"):
            verify(checkpoint)
        flip(checkpoint / name, 37 * number + 11)
    verify(checkpoint)


def test_c3_a_removed_file_is_named_on_every_load(run):
    _, folder = run
    for name in ("adapter_model.safetensors", "state/optimizer.pt"):
        (folder.path / "checkpoint-4" / name).unlink()

    with pytest.raises(CheckpointError, match=r"lacks .* `adapter_model\.safetensors`, `state/optimizer\.pt`"):
        read_record(folder.path / "checkpoint-4")


def test_c3_a_large_state_is_checked_by_torch_s_own_sums(run, monkeypatch):
    checkpoints, folder = run
    monkeypatch.setattr("backend.catalog.checkpoints.LARGE_BYTES", 10_000)
    checkpoints.write(8)
    record, state = verify(folder.path / "checkpoint-8"), folder.path / "checkpoint-8" / "state" / "optimizer.pt"
    assert record.sizes.keys() - record.sha256.keys() == {"state/optimizer.pt"}

    flip(state, state.stat().st_size // 2)

    with pytest.raises(CheckpointError, match=r"`state/optimizer\.pt`"):
        verify(folder.path / "checkpoint-8")


def test_c3_a_record_from_before_there_were_digests_is_read(run):
    _, folder = run
    path = folder.path / "checkpoint-4" / "complete.json"
    content = json.loads(path.read_text())
    del content["sha256"]
    path.write_text(json.dumps(content | {"version": 1}))

    assert verify(folder.path / "checkpoint-4").sha256 == {}
    (folder.path / "checkpoint-4" / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"`adapter_config\.json`"):
        verify(folder.path / "checkpoint-4")


def test_c3_going_on_and_exporting_read_every_byte_first(run, tmp_path):
    from backend.programs.export.program import export
    from backend.programs.training.program import _state_of

    checkpoints, folder = run
    checkpoints.write_final(4)
    spec = checkpoints._spec.model_copy(update={"resumed_from": f"{folder.run_id}/checkpoint-4"})
    assert _state_of(spec, Workspace(tmp_path)) == str(folder.path / "checkpoint-4" / "state")
    flip(folder.path / "checkpoint-4" / "state" / "optimizer.pt", 2000)
    flip(folder.final_model / "adapter_model.safetensors", -5)

    with pytest.raises(CheckpointError, match=r"`state/optimizer\.pt` is not what was saved"):
        _state_of(spec, Workspace(tmp_path))
    asked = ExportRequest(workspace=str(tmp_path), checkpoint=str(folder.run_id), target=str(tmp_path / "out"))
    with pytest.raises(CheckpointError, match=r"`adapter_model\.safetensors` is not what was saved"):
        export(asked, tmp_path, EventWriter(tmp_path / "events.jsonl"))
    assert not (tmp_path / "out").exists()


def test_c3_the_command_line_checks_runs_and_folders(run, untrained, tmp_path, monkeypatch):
    _, folder = run
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path))
    context.workspace.cache_clear()

    def check(*words: str):
        return CliRunner().invoke(app, ["models", "check", *words])

    name = f"{folder.run_id}/checkpoint-4"
    sound, foreign = check(name, "--json"), check(str(untrained))
    flip(folder.path / "checkpoint-4" / "adapter_model.safetensors", -1)
    damaged = check(name)
    context.workspace.cache_clear()

    count = len(read_record(folder.path / "checkpoint-4").sizes)
    assert json.loads(sound.stdout)["folders"][0]["files_as_saved"] == count
    assert "nobody has said" in foreign.stdout
    assert (damaged.exit_code, "`adapter_model.safetensors`" in damaged.stderr) == (2, True)


def test_c9_a_best_checkpoint_that_was_removed_by_hand_costs_no_final_model(run):
    checkpoints, folder = run
    checkpoints._spec = checkpoints._spec.with_values({"saving.final": "best", "evaluation.every_steps": 2})
    checkpoints.best = "checkpoint-2"

    checkpoints.write_final(9)

    assert verify(folder.final_model).step == 9


def test_c9_the_best_stays_where_one_is_kept(run):
    checkpoints, folder = run
    checkpoints.write(5, is_best=True)
    for step in (6, 7):
        checkpoints.write(step)

    assert [path.name for path in folder.checkpoints()] == ["checkpoint-5", "checkpoint-7"]


def test_c1_what_is_replaced_comes_back_where_the_new_one_cannot_take_its_place(run, monkeypatch):
    from backend.programs.model.checkpoint import partial_of, put_in_place

    _, folder = run
    new, old = partial_of(folder.path / "checkpoint-4"), folder.path / "checkpoint-4"
    shutil.copytree(old, new)
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if self == new:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)

    with pytest.raises(OSError, match="Input/output"):
        put_in_place(new, old)
    assert verify(old).step == 4


def test_c1_a_replacement_that_was_killed_between_its_two_renames_is_mended_by_the_next(run):
    from backend.programs.model.checkpoint import partial_of, put_in_place

    _, folder = run
    new, old = partial_of(folder.path / "checkpoint-4"), folder.path / "checkpoint-4"
    shutil.copytree(old, new)
    old.rename(folder.path / ".checkpoint-4.replaced")

    put_in_place(new, old)

    assert verify(old).step == 4
    assert not list(folder.path.glob(".*"))


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def test_c7_no_pickle_of_a_model_from_elsewhere_is_ever_read(untrained, images, tmp_path):
    from backend.conversation import Message
    from backend.programs.model.encoder import Encoder
    from backend.programs.model.loading import choose_precision, load_base

    folder, mark = tmp_path / "theirs", tmp_path / "ran"
    shutil.copytree(untrained, folder)
    trap = pickle.dumps(Trap(mark))
    names = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin", "pytorch_model.bin", "scaler.pt",
             "state/mp_rank_00_model_states.pt", "state/optimizer.pt")  # fmt: skip
    (folder / "state").mkdir()
    for name in names:
        (folder / name).write_bytes(trap)

    model = load_base(folder, choose_precision("fp32"))
    sample = Encoder(folder, 4 * 784, 64 * 784).encode((Message(role="user", content="<image>?"),), images[:1])

    assert sum(parameter.numel() for parameter in model.parameters()) > 0
    assert sample.tokens > 0
    assert not mark.exists()
    pickle.loads(trap)
    assert mark.exists()  # the trap does work


def test_c5_a_folder_is_looked_through_again_where_it_is_loaded(untrained, tmp_path):
    from backend.programs.model.loading import choose_precision, load_base

    shutil.copytree(untrained, tmp_path / "theirs")
    (tmp_path / "theirs" / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    with pytest.raises(CheckpointError, match=r"brings code \(`modeling\.py`\)"):
        load_base(tmp_path / "theirs", choose_precision("fp32"))
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_are_not_begun_at_random(untrained, tmp_path):
    from safetensors.torch import load_file, save_file

    from backend.programs.model.loading import choose_precision, load_base

    shutil.copytree(untrained, tmp_path / "theirs")
    weights = load_file(tmp_path / "theirs" / "model.safetensors")
    name = next(name for name in weights if name.endswith("q_proj.weight"))
    weights["stands.in"] = weights.pop(name).clone()
    save_file(weights, tmp_path / "theirs" / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(CheckpointError, match=r"lacks 1 weights, `.*q_proj\.weight`"):
        load_base(tmp_path / "theirs", choose_precision("fp32"))


def test_vision_weights_of_another_shape_are_refused(untrained, encoder, tmp_path):
    from safetensors.torch import load_file, save_file

    from backend.catalog.checkpoints import resolve_checkpoint
    from backend.programs.model.checkpoint import save_checkpoint
    from backend.programs.model.loading import choose_precision, load_checkpoint

    model, spec = changed_model(untrained, "lora_llm_full_vit")
    folder = tmp_path / "output" / "run" / "final_model"
    folder.parent.mkdir(parents=True)
    save_checkpoint(model, encoder, spec, folder, step=1)
    weights = load_file(folder / "vision.safetensors")
    name = max(weights, key=lambda each: weights[each].numel())
    save_file(weights | {name: torch.zeros(3)}, folder / "vision.safetensors")
    record = json.loads((folder / "complete.json").read_text())
    record["sizes"]["vision.safetensors"] = (folder / "vision.safetensors").stat().st_size
    (folder / "complete.json").write_text(json.dumps(record))

    with pytest.raises(CheckpointError, match=r"does not fit: its `vision\.safetensors` holds"):
        load_checkpoint(resolve_checkpoint(str(folder), Workspace(tmp_path)), choose_precision("fp32"))
