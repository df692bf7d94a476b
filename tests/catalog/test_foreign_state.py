"""An optimizer's state is unpickled by DeepSpeed, so it is taken from own runs and from nowhere else."""

import ast

import pytest
from model_lab import adapter_folder, model_folder

from backend.catalog.checkpoints import resumable
from backend.catalog.download import add_model
from backend.errors import NotFoundError
from backend.settings import ROOT
from backend.spec.run import RunSpec

SOURCES = [path for folder in ("backend", "launcher", "studio") for path in sorted((ROOT / folder).rglob("*.py"))]


def checkpoint(folder):
    """A checkpoint with a state, wherever it lies."""
    adapter_folder(folder)
    (folder / "state").mkdir()
    (folder / "state" / "optimizer.pt").write_bytes(b"\x80\x04 a pickle")
    return folder


@pytest.fixture
def run(workspace):
    run = workspace.output / "20260101-000000-own"
    checkpoint(run / "checkpoint-4")
    (run / "spec.json").write_text(RunSpec().model_dump_json())
    return run


def test_c7_a_run_goes_on_from_its_own_checkpoint(run, workspace):
    assert resumable(f"{run.name}/checkpoint-4", workspace) == run / "checkpoint-4"


def test_c7_nothing_goes_on_from_a_folder_that_was_brought_in(run, workspace, tmp_path):
    theirs = checkpoint(tmp_path / "theirs" / "checkpoint-4")
    (theirs.parent / "spec.json").write_text(RunSpec().model_dump_json())
    model = checkpoint(workspace.models / "checkpoint-4")
    add_model(model_folder(tmp_path / "plain"), "plain", workspace)
    (workspace.output / "linked").symlink_to(theirs.parent)
    (run / "checkpoint-5").symlink_to(theirs)
    (run / "checkpoint-6").mkdir()
    (run / "checkpoint-6" / "complete.json").write_text((theirs / "complete.json").read_text())
    (run / "checkpoint-6" / "state").symlink_to(theirs / "state")
    references = (
        str(theirs), f"../{tmp_path.name}/theirs/checkpoint-4", "models/checkpoint-4", str(model), "plain/checkpoint-4",
        "linked/checkpoint-4", f"{run.name}/checkpoint-5", f"{run.name}/checkpoint-6", f"{run.name}/../checkpoint-4",
        f"{run.name}/checkpoint-4/../checkpoint-5", run.name, "/checkpoint-4", "",
    )  # fmt: skip

    for reference in references:
        with pytest.raises(NotFoundError, match="is no checkpoint to go on from"):
            resumable(reference, workspace)


def test_c7_no_code_of_ours_unpickles(run):
    assert len(SOURCES) > 200
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                said = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
                assert said.get("weights_only", True) is True, path
                assert said.get("allow_pickle", False) is False, path
                assert ast.unparse(node.func) not in ("torch.load", "numpy.load", "np.load", "joblib.load"), path


def test_c7_only_the_training_program_hands_a_state_over_and_asks_for_it_here():
    named = [path for path in SOURCES if "resume_from_checkpoint" in path.read_text(encoding="utf-8")]

    assert [path.relative_to(ROOT).as_posix() for path in named] == ["backend/programs/training/program.py"]
    assert "resumable(spec.resumed_from, workspace)" in named[0].read_text(encoding="utf-8")


def test_c5_no_code_of_ours_trusts_code_of_a_model():
    found = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("from_pretrained"):
                found += 1
                assert "trust_remote_code" not in {word.arg for word in node.keywords}, path
                assert None not in {word.arg for word in node.keywords}, path  # no `**options` that could hold it
    assert found >= 3
