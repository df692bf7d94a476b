"""The command on the page starts the run that the page shows."""

import shlex
import subprocess

import pytest

from backend.recipes.library import EFFORTS, load_recipe, recipe_names, with_effort
from backend.recipes.preview import command_of_run, command_words, in_lines, planned_steps, studio_command
from backend.spec.files import apply_settings
from backend.spec.run import RunSpec
from backend.spec.training import DatasetShare
from tests.knob_values import NEEDED, OTHER_VALUES

OWN = {"name", "data.datasets", "model.base", "strategy.name", "grpo.rewards"}  # knobs with an option of their own


def spec_of(words: list[str]) -> RunSpec:
    """Read a command back as the command line's help promises, with no knowledge of how it was written."""
    assert words[:2] == ["studio", "train"]
    options = list(zip(words[3::2], words[4::2], strict=True))
    given = {name: value for name, value in options}
    spec = with_effort(load_recipe(words[2]).spec, given.get("--effort", "balanced"))
    shares = [value.partition(":") for name, value in options if name == "--dataset"]
    changes = {"data.datasets": [{"name": name, "weight": float(weight or 1)} for name, _, weight in shares]}
    rewards = [value.partition(":") for name, value in options if name == "--reward"]
    if rewards:
        changes["grpo.rewards"] = [{"name": name, "weight": float(weight or 1)} for name, _, weight in rewards]
    if "--model" in given:
        changes["model.base"] = given["--model"]
    if "--name" in given:
        changes["name"] = given["--name"]
    return apply_settings(spec.with_values(changes), [value for name, value in options if name == "--set"])


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("recipe", recipe_names())
def test_a_recipe_as_it_is_needs_no_set(recipe, effort):
    spec = with_effort(load_recipe(recipe).spec, effort)

    assert "--set" not in studio_command(spec, recipe, effort)
    assert spec_of(shlex.split(studio_command(spec, recipe, effort))) == spec


@pytest.mark.parametrize("path", sorted(set(OTHER_VALUES) - OWN))
def test_a_changed_knob_travels_through_the_command(path):
    others = {knob: value for knob, value in NEEDED.get(path, {}).items() if knob != "strategy.name"}
    recipe = "grpo" if path.startswith("grpo.") else "lora"
    spec = load_recipe(recipe).spec.with_values(others | {path: OTHER_VALUES[path]})

    words = shlex.split(studio_command(spec, recipe, "balanced"))

    assert spec_of(words) == spec
    assert words.count("--set") == 1 + len(others)


@pytest.mark.parametrize(
    "name", ["receipts lora", "it's", "$(touch /tmp/owned); `id`", "-c", "true", "1e5", '图片 \\ "two"', "a\nb"]
)
def test_p1_a_shell_hands_over_exactly_the_words_of_the_command(name):
    spec = load_recipe("lora").spec.with_values(
        {"name": name, "model.base": "/models/my model", "data.datasets": [{"name": "shapes", "weight": 0.25}]}
    )
    words = command_words(spec, "lora", "quick")

    for text in (studio_command(spec, "lora", "quick"), in_lines(words)):
        printed = subprocess.run(
            ["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, text=True, check=True
        ).stdout
        assert printed.split("\0")[:-1] == words

    assert spec_of(words) == spec


def test_a_rate_that_the_recipe_sets_can_be_cleared():
    spec = load_recipe("lora").spec.with_values({"optimiser.language_rate": None})

    assert spec_of(shlex.split(studio_command(spec, "lora", "balanced"))) == spec


def test_the_command_of_a_run_finds_the_effort_it_was_started_with():
    spec = with_effort(load_recipe("lora").spec, "quick")

    assert command_of_run(spec) == ["studio", "train", "lora", "--effort", "quick"]


def test_the_command_of_a_run_without_a_recipe_takes_the_recipe_of_its_strategy():
    spec = load_recipe("vit_only").spec.with_values({"recipe": ""})

    assert command_of_run(spec)[:3] == ["studio", "train", "vit_only"]


def test_a_run_that_learns_from_rewards_names_them_with_their_weights():
    spec = load_recipe("grpo").spec.with_values(
        {"grpo.rewards": OTHER_VALUES["grpo.rewards"], "strategy.name": "full", "optimiser.epochs": 3.0}
    )

    words = command_of_run(spec)

    assert words == [
        "studio", "train", "grpo", "--effort", "best", "--reward", "box_iou:2", "--reward", "length:-0.5",
        "--set", "strategy.name=full",
    ]  # fmt: skip
    assert spec_of(words) == spec


def test_the_command_of_a_dry_run_is_the_one_that_looks_at_rewards():
    spec = load_recipe("grpo").spec.with_values(
        {"kind": "reward_check", "data.datasets": [{"name": "shapes"}], "grpo.check_rows": 3}
    )

    assert in_lines(command_of_run(spec)) == (
        "studio reward check exact_match \\\n  --dataset shapes \\\n  --checkpoint demo \\\n  --limit 3"
    )


def test_steps_are_samples_times_passes_over_samples_a_step():
    shares = [DatasetShare(name="receipts"), DatasetShare(name="charts", weight=0.5)]
    spec = RunSpec().with_values({"data.datasets": [share.model_dump() for share in shares]})

    steps = planned_steps(spec, {"receipts": 480, "charts": 101})

    assert steps == (530, 3.0, 8, 201, False)  # 67 steps a pass, the last of them smaller


def test_a_step_limit_sets_the_length_of_a_run():
    spec = RunSpec().with_values({"data.datasets": [{"name": "receipts"}], "optimiser.max_steps": 10})

    assert planned_steps(spec, {"receipts": 480})[3:] == (10, True)


def test_no_rows_make_no_steps():
    spec = RunSpec().with_values({"data.datasets": [{"name": "gone"}]})

    assert planned_steps(spec, {})[3] == 0
