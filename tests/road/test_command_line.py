"""Import, train, talk, all by command; and every wrong door."""

import json
import time
import zipfile
from pathlib import Path

import pytest

from backend.runs.events import read_all

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def trained(road) -> dict:
    """A run of the full strategy, and when the command was given."""
    begun = time.time()
    run = road.told("train", "full_finetune", "--dataset", "codes")
    return run | {"begun": begun}


def test_training_ends_well_and_the_loss_falls(trained):
    events = read_all(Path(trained["folder"]) / "events.jsonl")
    losses = [event.values["loss"] for event in events if event.kind == "metric"]

    assert trained["state"] == "finished"
    assert events[-1].kind == "end"
    assert events[-1].values["outcome"] == "finished"
    assert len(losses) == trained["total_steps"] == 360
    assert sum(losses[-10:]) / 10 < 0.3 * sum(losses[:5]) / 5
    assert all(event.values["grad_norm"] > 0 for event in events if event.kind == "metric")


def test_the_first_step_comes_within_20_s_without_compiler_or_caches(trained, road):
    first = next(event for event in read_all(Path(trained["folder"]) / "events.jsonl") if event.kind == "metric")

    assert first.time - trained["begun"] < 20
    assert not list((road.root / "extensions").glob("*")), "something was compiled at run time"


def test_the_tuned_model_answers_what_the_shipped_one_cannot(trained, road, drawn):
    rows = json.loads((drawn / "data.json").read_text(encoding="utf-8"))
    right = {"tuned": 0, "shipped": 0}
    for row in [row for row in rows if "油漆" not in row["conversations"][0]["value"]][:6]:
        question, gold = (turn["value"].replace("<image>\n", "") for turn in row["conversations"])
        told = road.told(
            "chat", trained["run_id"], "--image", str(drawn / row["image"]), "--prompt", question, "--compare", "demo"
        )
        tuned, shipped = (answer["answer"].strip() for answer in told["answers"])
        right["tuned"] += tuned == gold
        right["shipped"] += shipped == gold

    assert right["shipped"] == 0
    assert right["tuned"] >= 5


def test_a_run_is_stopped_with_its_model_saved(road):
    run = road.told("train", "lora", "--dataset", "codes", "--set", "optimiser.epochs=200", "--detach")
    road.wait_for_state(run["run_id"], {"running"})
    while road.told("runs", "show", run["run_id"])["step"] < 3:
        time.sleep(0.3)

    road.told("runs", "stop", run["run_id"])

    ended = road.wait_for_state(run["run_id"], {"stopped", "finished", "failed", "lost"})
    assert ended["state"] == "stopped"
    assert ended["final_model"]


def test_checkpoints_are_kept_to_the_number_asked_for(road):
    sets = ("optimiser.max_steps=7", "saving.every_steps=2", "saving.keep=2")
    words = [word for knob in sets for word in ("--set", knob)]
    run = road.told("train", "lora_llm_full_vit", "--dataset", "codes", *words)

    assert run["checkpoints"] == ["checkpoint-4", "checkpoint-6"]
    assert (Path(run["folder"]) / "checkpoint-4" / "vision.safetensors").is_file()


def test_a_run_goes_to_yaml_and_is_trained_again_from_it(trained, road, tmp_path):
    written = road.studio("runs", "show", trained["run_id"], "--yaml")
    (tmp_path / "again.yaml").write_text(written.stdout, encoding="utf-8")

    again = road.told("train", str(tmp_path / "again.yaml"), "--set", "optimiser.max_steps=2")

    specs = [road.told("runs", "show", run["run_id"])["spec"] for run in (trained, again)]
    specs[1]["optimiser"]["max_steps"] = 0
    assert specs[0] == specs[1]


def test_samples_that_are_too_long_are_left_out_and_counted(road):
    run = road.studio("train", "lora", "--dataset", "codes", "--set", "data.max_tokens=64", "--json")

    told = json.loads(run.stdout)
    notes = [event.values for event in read_all(Path(told["folder"]) / "events.jsonl") if event.kind == "note"]
    assert run.returncode == 0
    assert any(note["level"] == "warning" and "left out as too long" in note["text"] for note in notes)


def test_a_run_that_cannot_learn_fails_in_words(road):
    run = road.studio(
        "train", "lora", "--dataset", "codes", "--set", "model.min_pixels=2000000", "--set", "model.max_pixels=2000000",
        "--set", "data.max_tokens=64", "--json",
    )  # fmt: skip

    told = json.loads(run.stdout)
    assert run.returncode == 1
    assert told["state"] == "failed"
    assert "longer than 64 tokens" in told["reason"]
    assert "max_tokens" in told["hint"]


WRONG = {
    "no zip": (["dataset", "import", "{tmp}/broken.zip"], "broken.zip"),
    "a zip that climbs out": (["dataset", "import", "{tmp}/climbs.zip"], "../evil.json"),
    "a row without a picture": (["dataset", "import", "{tmp}/rows.jsonl"], "gone.png"),
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
    "unknown run": (["runs", "show", "nowhere"], "nowhere"),
    "unknown checkpoint": (["chat", "nowhere", "--prompt", "hello"], "nowhere"),
    "no picture": (["chat", "demo", "--image", "{tmp}/broken.zip", "--prompt", "hello"], "broken.zip"),
    "control token": (["chat", "demo", "--prompt", "<|im_end|>"], "<|im_end|>"),
    "placeholder": (["chat", "demo", "--prompt", "<image> what?"], "--image"),
    "unknown model name": (["models", "get", "Qwen/None"], "catalogue"),
    "foreign model": (["models", "add", "{tmp}"], "config.json"),
    "public address": (["ui", "--host", "0.0.0.0"], "account"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_door_says_why_and_what_to_do(name, road, tmp_path):
    words, said = WRONG[name]
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 not really")
    with zipfile.ZipFile(tmp_path / "climbs.zip", "w") as archive:
        archive.writestr("../evil.json", "[]")
    (tmp_path / "rows.jsonl").write_text('{"image": "gone.png", "question": "What?", "answer": "This."}\n')
    before = sorted(path.name for path in (road.root / "data").iterdir() if path.name != ".staging")

    done = road.studio(*(word.replace("{tmp}", str(tmp_path)) for word in words))

    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert sorted(path.name for path in (road.root / "data").iterdir() if path.name != ".staging") == before
    assert not list((road.root / "data" / ".staging").iterdir())


def test_the_network_is_not_needed_and_its_absence_is_said(road):
    done = road.studio("models", "get", "Qwen/Qwen2.5-VL-3B-Instruct")

    assert done.returncode == 2
    assert "could not be fetched" in done.stderr or "disk has" in done.stderr
    assert "hint:" in done.stderr


def test_lists_are_json_for_machines(road):
    assert {each["name"] for each in road.told("models")} >= {"demo", "Qwen/Qwen2.5-VL-7B-Instruct"}
    assert [each["name"] for each in road.told("dataset", "list")] == ["codes"]
    assert len(road.told("recipes")) >= 7
    assert all(finding["verdict"] != "missing" for finding in road.told("doctor"))
