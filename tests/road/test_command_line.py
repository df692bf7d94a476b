"""Import, train, talk, all by command."""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from backend.runs.events import read_all
from backend.spec.run import RunSpec

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def trained(road) -> dict:
    """A run of the full strategy."""
    return road.result_cold("train", "full_finetune", "--dataset", "codes")


@pytest.fixture(scope="module")
def adapted(road) -> dict:
    """A run of adapters with a vision tower that learns, long enough for three checkpoints, of which it keeps two."""
    sets = ("optimiser.max_steps=15", "evaluation.rows=0", "saving.every_steps=4", "saving.keep=2")
    return road.result("train", "lora_llm_full_vit", "--dataset", "codes", *_set(sets))


@pytest.fixture(scope="module")
def exported(adapted, road, tmp_path_factory) -> tuple[dict, Path]:
    """What the command says of that run's export, and its folder."""
    target = tmp_path_factory.mktemp("export") / "merged"
    return road.result_cold("export", adapted["run_id"], "--to", str(target)), target


def test_columns_that_are_not_named_are_guessed_and_words_are_shown_as_written(road, tmp_path) -> None:
    upload = tmp_path / "marks"
    upload.mkdir()
    for number in range(4):
        Image.new("RGB", (56, 56), (number * 60, 90, 90)).save(upload / f"{number}.png")
    rows = "".join(f"{number}.png,How many?,:100:\n" for number in range(4))
    (upload / "rows.csv").write_text(f"foto,question,reply\n{rows}")

    road.result("dataset", "import", str(upload), "--image-column", "foto", "--answer-column", "reply")

    written = json.loads((road.root / "data/marks/data.json").read_text())
    assert {row["messages"][0]["content"] for row in written} == {"<image>How many?"}
    assert ":100: (4)" in road.command("dataset", "show", "marks").stdout


SECRET = "0123456789abcdef0123456789abcdef01234567"
BRIEFLY = {
    "optimiser.max_steps": 2,
    "evaluation.rows": 0,
    "data.max_tokens": 64,
    "reporting.wandb": "offline",
}


@pytest.fixture(scope="module")
def again(trained, road, tmp_path_factory) -> dict:
    """The first run, written as YAML and trained from that, but for two steps, with short rows, and told to W&B."""
    path = tmp_path_factory.mktemp("yaml") / "again.yaml"
    path.write_text(road.command("runs", "show", trained["run_id"], "--yaml").stdout, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(os.environ, "WANDB_API_KEY", SECRET)
        return road.result("train", str(path), *_set(f"{knob}={value}" for knob, value in BRIEFLY.items()))


def _set(settings: Iterable[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def test_training_ends_well_and_the_loss_falls(trained):
    events = read_all(Path(trained["folder"]) / "events.jsonl")
    steps = [event.values for event in events if event.kind == "metric" and "loss" in event.values]
    losses = [values["loss"] for values in steps]

    assert trained["state"] == "finished"
    assert events[-1].kind == "end"
    assert events[-1].values["outcome"] == "finished"
    assert len(losses) == trained["total_steps"] == 54
    assert sum(losses[-10:]) / 10 < 0.3 * sum(losses[:5]) / 5
    assert all(values["grad_norm"] > 0 for values in steps)


def test_a_run_says_what_it_gained_on_held_out_rows(trained):
    events = read_all(Path(trained["folder"]) / "events.jsonl")
    measured = {event.step: event.values for event in events if "exact_match" in event.values}

    assert list(measured) == [0, 54]
    assert measured[0]["exact_match"] < 0.1
    assert measured[54]["exact_match"] > 0.6
    assert measured[54]["eval_loss"] < measured[0]["eval_loss"]


def test_nothing_is_compiled_at_run_time(trained, road):
    assert trained["state"] == "finished"
    assert not list((road.root / "extensions").glob("*"))


def test_a_run_is_stopped_with_its_model_saved(road):
    run = road.result("train", "lora", "--dataset", "codes", "--set", "optimiser.epochs=200", "--detach")
    path = Path(run["folder"]) / "events.jsonl"
    deadline = time.monotonic() + 240
    while not any(event.kind == "metric" and event.step >= 3 for event in (read_all(path) if path.exists() else ())):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert road.result("runs", "show", run["run_id"])["state"] == "running"

    road.result("runs", "stop", run["run_id"])

    ended = road.wait_for_state(run["run_id"], {"stopped", "finished", "failed", "lost"})
    assert ended["state"] == "stopped"
    assert ended["final_model"]
    assert ended["checkpoints"] == [f"checkpoint-{ended['step']}"]  # from here it can go on

    again = road.result("runs", "resume", run["run_id"], "--detach")
    path = Path(again["folder"]) / "events.jsonl"
    while not any("loss" in event.values for event in (read_all(path) if path.exists() else ())):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    road.result("runs", "stop", again["run_id"], "--now")
    first = next(event for event in read_all(path) if "loss" in event.values)
    assert first.step == ended["step"] + 1
    assert again["resumed_from"] == f"{run['run_id']}/checkpoint-{ended['step']}"


@pytest.mark.long
def test_checkpoints_are_kept_to_the_number_asked_for(adapted):
    assert adapted["checkpoints"] == ["checkpoint-8", "checkpoint-12"]
    assert (Path(adapted["folder"]) / "checkpoint-8" / "vision.safetensors").is_file()


def test_a_run_goes_to_yaml_and_is_trained_again_from_it(trained, again, road):
    first, second = (road.result("runs", "show", run["run_id"])["spec"] for run in (trained, again))

    assert again["state"] == "finished"
    assert second == RunSpec.model_validate(first).with_values(BRIEFLY).model_dump(mode="json")


def test_samples_that_are_too_long_are_left_out_and_counted(again):
    notes = [event.values for event in read_all(Path(again["folder"]) / "events.jsonl") if event.kind == "note"]

    assert any(note["level"] == "warning" and "rows were left out: too long" in note["text"] for note in notes)


def test_the_plan_says_what_would_be_trained_before_anything_starts(road):
    runs_before = len(road.result("runs"))

    plan = road.result("train", "lora_llm_full_vit", "--dataset", "codes:0.5", "--plan", "--set", "data.max_tokens=64")

    learning = {part["part"]: (part["how"], part["trained"] > 0) for part in plan["parts"]}
    assert learning == {"vision": ("full", True), "merger": ("full", True), "language": ("lora", True)}
    (dataset,) = plan["datasets"]
    assert 0 < dataset["left_out"] < dataset["rows"] == 144
    assert dataset["samples_in_pass"] == round((dataset["rows"] - dataset["left_out"]) / 2)
    assert plan["deepspeed"]["zero_optimization"] == {"stage": 0}
    assert len(road.result("runs")) == runs_before


def test_t7_an_exported_model_answers_like_its_adapter_and_loads_without_us(exported, adapted, road):
    report, target = exported

    assert (report["same_answers"], report["questions"], report["is_merged"]) == (8, 8, True)
    assert report["largest_difference"] < 1e-3
    assert not (target / "adapter_config.json").exists()
    assert json.loads((target / "config.json").read_text())["text_config"]["use_cache"] is True
    twice = road.command("export", adapted["run_id"], "--to", str(target))
    assert twice.exit_code == 2
    assert "is there already" in twice.stderr


@pytest.mark.long
def test_the_tuned_model_answers_rightly_beside_an_exported_one(trained, exported, road, upload_folder):
    rows = json.loads((upload_folder / "data.json").read_text(encoding="utf-8"))
    row = next(row for row in rows if "paint code" in row["conversations"][0]["value"])
    question, right = (turn["value"].replace("<image>\n", "") for turn in row["conversations"])
    _, target = exported

    image = str(upload_folder / row["image"])
    chat = road.result_cold("chat", trained["run_id"], "--image", image, "--prompt", question, "--compare", str(target),
                            "--top-p", "0.5", "--repetition-penalty", "1")  # fmt: skip

    answers = {answer["checkpoint"]: answer["answer"].strip() for answer in chat["answers"]}
    assert answers[trained["run_id"]] == right
    assert answers[str(target)]


def test_an_evaluation_reports_on_the_rows_it_was_given(road):
    run = road.result_cold("eval", "demo", "--dataset", "codes", "--limit", "4")

    (side,) = run["report"]["sides"]
    assert (run["state"], side["rows"]) == ("finished", 4)


def test_weights_and_biases_gets_numbers_offline_and_no_key_is_written_anywhere(again):
    folder = Path(again["folder"])

    (record,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    assert b"grad_norm" in record.read_bytes()
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
