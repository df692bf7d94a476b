"""A change of a dataset counts whole or not at all: killed at any step, or refused any step by the disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_lab import asked, folder_of, many

from backend.datasets.editing import Edits
from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import ROOT, Workspace

PROGRAM = Path(__file__).with_name("cut_off.py")


@pytest.fixture
def base(tmp_path) -> Path:
    """A workspace with rows that were never changed, and some with images."""
    workspace = Workspace(tmp_path / "base")
    workspace.prepare()
    store = DatasetStore(workspace)
    rows = [asked(None, f"Question {n}", f"Answer {n}") for n in range(5)]
    store.import_dataset(folder_of(tmp_path / "rows", {"data.json": rows}), ImportOptions())
    store.import_dataset(folder_of(tmp_path / "images", many(5)), ImportOptions(validation_share=0.4))
    return tmp_path


def cut(base: Path, act: str, how: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(base), act, how], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("how", ["kill", "fail"])
@pytest.mark.parametrize("act", ["first edit", "later edit", "restore", "new set", "longer set"])
def test_a_change_cut_off_at_any_step_is_whole_or_absent(base, act, how):
    store = DatasetStore(Workspace(base / "base"))
    if act in ("later edit", "restore"):
        row = list(store.rows("rows"))[3]
        store.apply_edits("rows", Edits({row.id: "Another"}))
    if act == "longer set":
        store.copy_rows("images", [next(iter(store.rows("images", "train"))).id], "hard")

    ends = cut(base, "restore" if act == "restore" else "copy" if act.endswith("set") else "edit", how)

    assert ends["former"] > 5
    assert ends["new"] > 0 or act == "new set"
