"""Learning from rewards: what is drawn, what is paid and kept of it, and every way it may be run."""

import math

import pytest

from backend.rewards.sandbox.client import describe_isolation
from backend.runs.answers import read_rollouts, recorded_steps
from backend.runs.events import read_all
from backend.runs.folder import RunFolder
from tests.programs.training.training_lab import Lab, OnDemand, metrics, short_of
from tests.rewards.reward_lab import returning, worker

pytestmark = pytest.mark.torch

LOSSES = ("dapo", "grpo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo")
ALONE = {
    "plain": {"grpo.rewards": [{"name": "letters"}, {"name": "parts", "weight": 0.5}]},
    "accumulated": {"batching.batch_size": 4, "batching.accumulation_steps": 4},
    "padded": {"batching.packing": False},
    "checkpointing": {"batching.gradient_checkpointing": True},
    "lora": {"strategy.name": "lora", "grpo.beta": 0.1},
    "qlora": {"strategy.name": "qlora", "model.precision": "auto"},
    "lora_vision": {"strategy.name": "lora", "strategy.lora_vision": True},
    "lora_llm_full_vit": {"strategy.name": "lora_llm_full_vit", "grpo.beta": 0.1, "optimiser.max_steps": 4},
    "vit_only": {"strategy.name": "vit_only"},
    "full with KL": {"grpo.beta": 0.1, "optimiser.max_steps": 4},
    "ZeRO-3": {"devices.zero_stage": 3},
    "ZeRO-3 with KL": {"devices.zero_stage": 3, "grpo.beta": 0.1},
    "learned from twice": {"grpo.iterations": 2, "optimiser.max_steps": 4},
    "drawn for two steps": {"grpo.reuse": 2, "optimiser.max_steps": 4, "batching.batch_size": 8},
    "masked": {"grpo.mask_truncated": True},
    "evaluated and saved": {"evaluation.rows": 4, "saving.every_steps": 2},
    "state": {"grpo.rewards": [{"name": "state"}]},
    "columns": {"grpo.rewards": [{"name": "columns"}]},
} | {f"loss {loss}": {"grpo.loss": loss, "optimiser.max_steps": 2} for loss in LOSSES[1:]}  # fmt: skip
TOGETHER = {
    "two": {"batching.batch_size": 8},
    "two ZeRO-2": {"batching.batch_size": 8, "devices.zero_stage": 2},
    "two ZeRO-3": {"batching.batch_size": 8, "devices.zero_stage": 3},
    "two with adapters": {"batching.batch_size": 8, "strategy.name": "lora"},
    "two, one of them blind": {"batching.batch_size": 4, "optimiser.max_steps": 6},
    "two with adapters and ZeRO-3, one of them blind": {
        "batching.batch_size": 4,
        "optimiser.max_steps": 6,
        "devices.zero_stage": 3,
        "strategy.name": "lora",
        "evaluation.rows": 6,
    },
}


SHORT = {"plain", "lora", "columns", "ZeRO-3 with KL", "state", "two with adapters and ZeRO-3, one of them blind"}


@pytest.fixture(scope="module")
def runs(lab: Lab) -> OnDemand:
    """The folder of every way's run, trained when a test first looks at it."""

    def train(name: str) -> RunFolder:
        if name == "resumed":
            first = runs["evaluated and saved"].path.name
            spec = lab.rewarded(ALONE["evaluated and saved"]).model_copy(
                update={"resumed_from": f"{first}/checkpoint-2"}
            )
        else:
            spec = lab.rewarded({"devices.processes": 2} | TOGETHER[name] if name in TOGETHER else ALONE[name])
        title = f"grpo {name}"
        return lab.train({title: spec}, processes=2 if name in TOGETHER else 1)[title]

    runs = OnDemand(train)
    return runs


@pytest.mark.parametrize("name", short_of([*ALONE, *TOGETHER], SHORT))
def test_every_way_finishes_and_changes_what_should_learn(name, runs, lab):
    from safetensors.torch import load_file

    folder, spec = runs[name], (ALONE | TOGETHER)[name]
    steps = spec.get("optimiser.max_steps", 3)
    losses = metrics(folder, "loss")

    assert read_all(folder.events)[-1].values["outcome"] == "finished"
    assert list(losses) == list(range(1, steps + 1))
    assert all(math.isfinite(loss) for loss in losses.values())
    if name not in ("state", "masked"):  # there nothing is better than anything else, or nothing counts
        assert max(metrics(folder, "grad_norm").values()) > 0
        before = load_file(lab.base / "model.safetensors")
        trained = [load_file(path) for path in folder.final_model.glob("*.safetensors")]
        assert any(
            (".lora_B." in key and value.abs().max() > 0) or (key in before and not value.equal(before[key]))
            for weights in trained
            for key, value in weights.items()
        )


def test_each_question_is_answered_by_a_whole_group_whose_advantages_balance(runs):
    folder = runs["plain"]
    drawings = [read_rollouts(folder.completions, step) for step in recorded_steps(folder.completions)]

    assert [len(groups) for groups in drawings] == [4, 4, 4]
    for group in [group for groups in drawings for group in groups]:
        assert len(group.answers) == 4
        assert sum(answer.advantage for answer in group.answers) == pytest.approx(0, abs=1e-3)
        ranked = sorted(group.answers, key=lambda answer: answer.reward)
        assert ranked == sorted(ranked, key=lambda answer: answer.advantage)


def test_kept_answers_carry_what_each_reward_and_each_of_its_parts_paid(runs):
    answers = [answer for group in read_rollouts(runs["plain"].completions, 0) for answer in group.answers]

    for answer in answers:
        letters, parts = answer.values["letters"], answer.values["parts"]
        assert letters == answer.text.count("e")
        assert parts == (None if "," in answer.text else len(answer.text))
        assert answer.values["parts/short"] == (None if parts is None else float(len(answer.text) < 9))
        assert answer.reward == pytest.approx(letters + 0.5 * (parts or 0))
        assert 1 <= answer.tokens <= 6


def test_metrics_say_what_was_paid_and_how_answers_looked(runs):
    folder = runs["plain"]
    first = {answer.reward for group in read_rollouts(folder.completions, 0) for answer in group.answers}

    assert metrics(folder, "reward")[1] == pytest.approx(
        sum(a.reward for g in read_rollouts(folder.completions, 0) for a in g.answers) / 16, abs=1e-4
    )
    assert len(first) > 2
    for key in ("reward_std", "frac_reward_zero_std", "entropy", "completions/mean_length", "completions/clipped_ratio",
                "rewards/letters/mean", "rewards/parts/short/mean", "rewards/parts/error_rate"):  # fmt: skip
        assert set(metrics(folder, key)) == {1, 2, 3}, key
    assert set(metrics(folder, "rewards/parts/error_rate").values()) == {0.0}
    assert set(metrics(runs["lora"], "kl")) == {1, 2, 3}


@pytest.mark.parametrize("name", short_of(["full with KL", "lora", "ZeRO-3 with KL", "lora_llm_full_vit"], SHORT))
def test_kl_is_measured_against_the_model_it_started_from(name, runs):
    kl = metrics(runs[name], "kl")
    assert kl[1] == pytest.approx(0, abs=1e-5)
    assert kl[3] > 1e-6


def test_r11_the_run_says_what_its_rewards_are_kept_from(runs):
    said = [event.values["text"] for event in read_all(runs["plain"].events) if event.kind == "note"]
    (apart,) = [text for text in said if text.startswith("Rewards run apart: ")]
    with worker(returning("[1.0, 2.0]")) as started:
        assert apart == f"Rewards run apart: {describe_isolation(started.isolation)}"
    assert "network" in apart


def test_a_reward_is_told_where_training_stands_and_may_log(runs):
    folder = runs["state"]

    assert metrics(folder, "reward") == {1: 3.0, 2: 3.0, 3: 3.0}
    assert metrics(folder, "rewards/state/mine") == {1: 0.0, 2: 1.0, 3: 2.0}
    answers = [answer for group in read_rollouts(folder.completions, 1) for answer in group.answers]
    assert [answer.noted for answer in answers] == [{"first": answer.text[:1]} for answer in answers]


@pytest.mark.parametrize("name", short_of(["learned from twice", "drawn for two steps"], ["learned from twice"]))
def test_a_drawing_serves_as_many_steps_as_the_spec_says(name, runs):
    assert recorded_steps(runs[name].completions) == [0, 2]


@pytest.mark.parametrize(
    "name", short_of(["two", "two ZeRO-2", "two ZeRO-3", "two with adapters"], ["two with adapters"])
)
def test_two_processes_ask_the_same_questions_as_one_and_keep_all_answers(name, runs):
    for step in (0, 1, 2):
        alone, shared = (read_rollouts(runs[run].completions, step) for run in ("accumulated", name))
        assert [group.row for group in shared] == [group.row for group in alone]
        assert all(len(group.answers) == 4 for group in shared)


def test_a_run_that_goes_on_asks_what_the_whole_one_asked(runs):
    whole, further = runs["evaluated and saved"], runs["resumed"]

    assert list(metrics(further, "loss")) == [3]
    assert recorded_steps(further.completions) == [2]
    asked = [[group.row for group in read_rollouts(folder.completions, 2)] for folder in (whole, further)]
    assert asked[0] == asked[1]
