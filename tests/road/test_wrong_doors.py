"""Every wrong door of the command line says why and what to do."""

import os
import subprocess
import sys
import zipfile

import pytest

from backend.settings import ROOT

pytestmark = pytest.mark.torch


WRONG = {
    "no zip": (["dataset", "import", "{tmp}/broken.zip"], "broken.zip"),
    "a zip that climbs out": (["dataset", "import", "{tmp}/climbs.zip"], "../evil.json"),
    "a row without an image": (["dataset", "import", "{tmp}/rows.jsonl"], "gone.png"),
    "no such file": (["dataset", "import", "{tmp}/nothing"], "nothing"),
    "unknown knob": (["train", "lora", "--dataset", "codes", "--set", "batching.batchsize=4"], "batching.batch_size"),
    "bad value": (["train", "lora", "--dataset", "codes", "--set", "batching.batch_size=0"], "batching.batch_size"),
    "two problems": (["train", "lora", "--dataset", "codes", "--set", "a=1", "--set", "b=2"], "`b`"),
    "unknown recipe": (["train", "lorra", "--dataset", "codes"], "Did you mean `lora`"),
    "unknown dataset": (["train", "lora", "--dataset", "cods"], "codes"),
    "no dataset": (["train", "lora"], "No dataset is chosen"),
    "bad weight": (["train", "lora", "--dataset", "codes:heavy"], "codes:heavy"),
    "unknown model": (["train", "lora", "--dataset", "codes", "--model", "nowhere"], "nowhere"),
    "model not here": (["train", "lora", "--dataset", "codes", "--model", "Qwen/Qwen2.5-VL-3B-Instruct"], "models get"),
    "unknown rows": (
        ["dataset", "edit", "codes", "--answer", "gone=x", "--exclude", "lost"],
        "row `gone` is not there",
    ),
    "unknown version": (["dataset", "restore", "codes", "00000000"], "no version `00000000`"),
    "unknown row": (["dataset", "copy", "codes", "--row", "gone", "--to", "hard"], "has no row `gone`"),
    "unknown run": (["runs", "show", "nowhere"], "nowhere"),
    "unknown checkpoint": (["chat", "nowhere", "--prompt", "hello"], "nowhere"),
    "no image": (["chat", "demo", "--image", "{tmp}/broken.zip", "--prompt", "hello"], "broken.zip"),
    "control token": (["chat", "demo", "--prompt", "<|im_end|>"], "<|im_end|>"),
    "placeholder": (["chat", "demo", "--prompt", "<image> what?"], "--image"),
    "unknown model name": (["models", "get", "Qwen/None"], "catalogue"),
    "foreign model": (["models", "add", "{tmp}"], "config.json"),
    "public address": (["ui", "--host", "0.0.0.0"], "account"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_door_says_why_and_what_to_do(name, road, tmp_path):
    words, message = WRONG[name]
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 not really")
    with zipfile.ZipFile(tmp_path / "climbs.zip", "w") as archive:
        archive.writestr("../evil.json", "[]")
    (tmp_path / "rows.jsonl").write_text('{"image": "gone.png", "question": "What?", "answer": "This."}\n')
    before = sorted(path.name for path in (road.root / "data").iterdir() if path.name != ".staging")

    done = road.command(*(word.replace("{tmp}", str(tmp_path)) for word in words))

    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert sorted(path.name for path in (road.root / "data").iterdir() if path.name != ".staging") == before
    assert not list((road.root / "data" / ".staging").iterdir())


def test_a_refusal_is_the_end_of_a_whole_process_too(road):
    done = road.studio("train", "lorra", "--dataset", "codes")

    assert done.returncode == 2
    assert "Did you mean `lora`" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_the_network_is_not_needed_and_its_absence_is_said(road):
    done = road.studio("models", "get", "Qwen/Qwen2.5-VL-3B-Instruct")

    assert done.returncode == 2
    assert "could not be fetched" in done.stderr or "disk has" in done.stderr
    assert "hint:" in done.stderr


def test_lists_are_json_for_machines(road):
    assert {each["name"] for each in road.result("models")} >= {"demo", "Qwen/Qwen2.5-VL-7B-Instruct"}
    assert "codes" in [each["name"] for each in road.result("dataset", "list")]
    assert len(road.result("recipes")) >= 7
    assert all(finding["verdict"] != "missing" for finding in road.result("doctor"))


def test_d7_a_workspace_that_cannot_be_written_ends_a_command_with_2(tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = subprocess.run(
        [sys.executable, "-m", "studio.cli", "runs"], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "STUDIO_WORKSPACE": str(tmp_path / "file" / "inside")},
    )  # fmt: skip

    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
