"""From a reward of one's own to a model that learned from it, by command; and what a reward that fails costs."""

import json

import pytest

from backend.runs.answers import read_rollouts, recorded_steps
from backend.runs.folder import RunFolder
from backend.settings import Workspace

pytestmark = pytest.mark.torch

SMALL = [
    "--set", "batching.batch_size=8", "--set", "grpo.generations=4", "--set", "grpo.max_completion_tokens=8",
    "--set", "evaluation.rows=4", "--set", "grpo.check_rows=2",
]  # fmt: skip
LATE = """def reward(completions: list[str], trainer_state, **columns):
    if trainer_state.global_step >= 2:
        return [1 / 0 for text in completions]
    return [float(len(text)) for text in completions]
"""


@pytest.fixture(scope="module")
def late(road, tmp_path_factory):
    """A run whose reward works in the dry run, and fails from the third step on."""
    path = tmp_path_factory.mktemp("rewards") / "late.py"
    path.write_text(LATE)
    road.result("reward", "save", "late", str(path))
    words = ["train", "grpo", "--dataset", "codes", "--reward", "late", "--set", "optimiser.max_steps=40", "--json",
             "--set", "grpo.failed_batches=3", *SMALL]  # fmt: skip
    refused = road.command("train", "grpo", "--dataset", "codes", "--reward", "late", "--plan")
    return refused, road.command(*words)


def test_r14_a_run_needs_a_dry_run_of_the_source_as_it_is(late):
    refused, _ = late

    assert refused.exit_code == 2
    assert "`late` was not dry-run as it is now" in refused.stderr


def test_the_command_line_dry_runs_by_itself(road, late):
    _, done = late
    runs = road.result("runs")

    assert "Dry run first: `late`" in done.stderr
    assert [run["state"] for run in runs if run["name"] == "dry run late"] == ["finished"]


def test_r13_a_reward_that_keeps_failing_ends_the_run_with_a_checkpoint_and_the_reason(road, late):
    _, done = late
    run = json.loads(done.stdout[done.stdout.rindex('{\n "run_id"') :])

    assert done.exit_code == 1
    assert run["state"] == "failed"
    assert run["reason"].startswith("Reward `late` failed 3 batches in a row: ZeroDivisionError")
    assert "line 3" in run["reason"]
    assert run["checkpoints"] == [f"checkpoint-{run['step']}"]
    assert run["checkpoints"][0] in run["hint"]
    folder = RunFolder(road.root / "output" / run["run_id"])
    failed = [answer for group in read_rollouts(folder.completions, 3) for answer in group.answers]
    assert {(answer.reward, answer.advantage) for answer in failed} == {(None, 0.0)}
    assert (folder.rewards / "late.py").read_text() == LATE


def test_r14_an_edit_takes_the_voucher_away(road, late, tmp_path):
    path = tmp_path / "late.py"
    path.write_text(LATE.replace("global_step >= 2", "global_step >= 200"))
    road.result("reward", "save", "late", str(path))

    refused = road.command("train", "grpo", "--dataset", "codes", "--reward", "late", "--plan")

    assert refused.exit_code == 2


@pytest.mark.long
def test_a_ready_reward_trains_at_once_and_the_script_that_measures_it_tells_its_curve(road):
    before = {run["run_id"] for run in road.result("runs")}

    from tests.benchmarks import measure_grpo  # which loads torch

    line = measure_grpo.measure(42, Workspace(road.root), short=True)

    (run_id,) = {run["run_id"] for run in road.result("runs")} - before
    run = road.result("runs", "show", run_id)
    folder = RunFolder(road.root / "output" / run["run_id"])

    assert run["state"] == "finished"
    assert {"reward", "rewards/exact_match/mean", "entropy"} <= set(run["metrics"])
    assert recorded_steps(folder.completions) == [0, 1, 2]
    assert [path.name for path in folder.rewards.iterdir()] == ["exact_match.py"]
    assert line.startswith("| 42 | ")
    assert "▁" in line


def test_rewards_that_cannot_be_are_refused_all_at_once(road):
    refused = road.command("train", "grpo", "--dataset", "nowhere", "--reward", "exact_macth", "--plan")
    wrong = road.command("train", "lora", "--dataset", "codes", "--reward", "exact_match")
    uneven = road.command("train", "grpo", "--dataset", "codes", "--set", "grpo.generations=7", "--plan")

    assert refused.exit_code == wrong.exit_code == uneven.exit_code == 2
    assert "`nowhere`" in refused.stderr
    assert "`exact_macth`" in refused.stderr
    assert "exact_match" in refused.stderr
    assert "learns from answers, not from rewards" in wrong.stderr
    assert "no multiple of `grpo.generations`, 7" in " ".join(uneven.stderr.split())
