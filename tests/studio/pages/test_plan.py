"""The plan beside the form tells the truth about parts, steps, memory, and what stands in the way."""

from pathlib import Path

import pytest

from backend.catalog.models import CATALOGUE
from backend.catalog.trainable_parameters import trained_table
from backend.recipes.library import RECIPE_OF, load_recipe
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from backend.spec.run import RunSpec
from studio.models import is_offered, model_choices
from studio.pages.runs.settings import settings_of
from studio.pages.train.plan import plan_of, plan_of_problems, suggested_name
from studio.services import Services, build_services
from studio.ui.form import KnobProblem
from studio.ui.formatting import gigabytes, percent, short
from studio.ui.i18n import translator

ROWS = {"shapes": 480}
T = translator("en")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    services = build_services(workspace)
    yield services
    services.runs.close()


def spec_of(strategy: str, **changes: object) -> RunSpec:
    named = {"data.datasets": [{"name": "shapes"}], "name": "receipts"}
    return load_recipe(RECIPE_OF[strategy]).spec.with_values(named | changes)


@pytest.mark.parametrize("strategy", RECIPE_OF)
def test_the_table_shows_what_the_module_table_trains(services, strategy):
    spec = spec_of(strategy)

    plan = plan_of(spec, "balanced", ROWS, services.workspace, T)

    rows = trained_table(spec, services.workspace)
    assert [part["way"] for part in plan["parts"]] == [row.how for row in rows]
    assert [part["count"] for part in plan["parts"]] == [f"{short(row.trained)} / {short(row.total)}" for row in rows]
    assert [part["rate"] != "–" for part in plan["parts"]] == [row.how != "frozen" for row in rows]
    assert plan["steps"] == "480 samples × 3 passes ÷ 8 a step ≈ 180 steps"
    assert plan["command"].startswith(f"studio train {RECIPE_OF[strategy]} \\\n  --dataset shapes")


def paid(**changes: object) -> RunSpec:
    named = {"data.datasets": [{"name": "shapes"}], "name": "receipts"}
    return load_recipe("grpo").spec.with_values(named | changes)


def test_learning_from_rewards_says_answers_questions_and_steps(services):
    plan = plan_of(paid(), "balanced", ROWS, services.workspace, T)

    assert plan["generation"] == "128 answers a step: 16 questions, 8 answers to each"
    assert plan["steps"] == "480 questions × 1.5 passes ÷ 16 a drawing ≈ 45 steps"
    assert plan["command"].startswith("studio train grpo \\\n  --reward exact_match \\\n  --dataset shapes")


def test_a_drawing_that_serves_several_steps_says_so(services):
    plan = plan_of(paid(**{"grpo.reuse": 2, "grpo.iterations": 2}), "balanced", ROWS, services.workspace, T)

    assert plan["generation"] == (
        "256 answers a drawing: 32 questions, 8 answers to each; 4 steps learn from them, 128 answers a step"
    )
    assert plan["steps"] == "480 questions × 1.5 passes ÷ 32 a drawing × 4 steps ≈ 92 steps"


def test_no_reward_is_said_in_the_visitors_language(services):
    plan = plan_of(paid(**{"grpo.rewards": []}), "balanced", ROWS, services.workspace, translator("zh"))

    assert plan["problems"] == ["请至少选择一个奖励"]


def test_a_reward_that_was_never_dry_run_stands_in_the_way_beside_everything_else(services):
    RewardStore(services.workspace).save(
        "mine", "def reward(completions, **columns):\n    return [1.0] * len(completions)\n"
    )

    problems = plan_of(paid(**{"grpo.rewards": [{"name": "mine"}]}), "balanced", ROWS, services.workspace, T)[
        "problems"
    ]

    assert "`shapes`" in problems[0]
    assert "`mine` was not dry-run" in problems[0]


def test_a_model_that_is_not_here_says_its_size_its_licence_and_how_to_get_it(services):
    name = "Qwen/Qwen2.5-VL-7B-Instruct"

    plan = plan_of(spec_of("full", **{"model.base": name}), "balanced", ROWS, services.workspace, T)

    (problem,) = plan["problems"]
    assert f"`studio models get {name}`" in problem
    assert "17 GB" in problem
    assert CATALOGUE[name].licence in problem
    assert plan["parts"][0]["count"] == "632 M / 632 M"
    assert plan["memory"].startswith("about ")


def test_everything_in_the_way_is_said_at_once(services):
    spec = spec_of("lora", **{"data.datasets": [], "model.base": "Qwen/Qwen2.5-VL-3B-Instruct"})

    assert len(plan_of(spec, "balanced", {}, services.workspace, T)["problems"]) == 2


def test_a_dataset_that_is_gone_is_a_problem_not_a_crash(services):
    problems = plan_of(spec_of("lora"), "balanced", ROWS, services.workspace, T)["problems"]

    assert "`shapes`" in problems[0]


def test_a_form_that_makes_no_spec_shows_only_what_to_mend():
    plan = plan_of_problems([KnobProblem("optimiser.epochs", "is empty", "Epochs: is empty")])

    assert plan["problems"] == ["Epochs: is empty"]
    assert plan["command"] == ""


@pytest.mark.parametrize("base", ["/etc", "../../x", "~/model", "no-such-run", "https://example.com/model"])
def test_w9_a_path_that_a_browser_made_up_is_not_offered(services, base):
    assert not is_offered(base, services)


def test_models_that_can_be_trained_now_stand_first(services):
    choices = model_choices(services, T)

    assert [name for _, name in choices] == list(CATALOGUE)
    assert choices[0] == ("Demo (shapes)", "demo")
    assert choices[1][0] == "Qwen2.5-VL 3B · 7.5 GB to download"


def test_a_suggested_name_tells_data_and_strategy():
    assert suggested_name(spec_of("lora_llm_full_vit")) == "shapes-lora-llm-full-vit"
    assert suggested_name(paid()) == "shapes-grpo-lora"


@pytest.mark.parametrize(("number", "said"), [(0, "0"), (999, "999"), (1_263_680, "1.26 M"), (3_754_622_976, "3.75 B")])
def test_counts_are_said_in_three_digits(number, said):
    assert short(number) == said


@pytest.mark.parametrize(
    ("part", "whole", "said"), [(0, 5, "0.0%"), (1, 10**6, "<0.1%"), (1, 3, "33.3%"), (7, 7, "100%"), (0, 0, "0.0%")]
)
def test_a_small_share_is_not_called_nothing(part, whole, said):
    assert percent(part, whole) == said


def test_gigabytes_promise_no_more_than_they_know():
    assert [gigabytes(size) for size in (7_500_000_000, 16_600_000_000)] == ["7.5 GB", "17 GB"]


def test_a_runs_settings_are_its_own_and_mark_what_the_recipe_did_not_say():
    spec = spec_of("lora", **{"strategy.lora_rank": 64, "optimiser.language_rate": 1e-4})

    table = settings_of(spec, T)

    changed = {row["label"]: row["value"] for row in table["rows"] if row["is_changed"]}
    assert changed == {"LoRA rank": "64", "Learning rate, language": "0.0001"}
    assert "--set strategy.lora_rank=64" in table["command"]
    assert "Learning rate, vision" not in {row["label"] for row in table["rows"]}  # frozen in this strategy


def test_a_dry_runs_settings_are_those_it_reads_and_follow_no_recipe():
    table = settings_of(paid(kind="reward_check", **{"grpo.check_rows": 3}), T)

    labels = {row["label"] for row in table["rows"]}
    assert {"Rewards", "Rows of a dry run", "Model"} <= labels
    assert not {"Epochs", "LoRA rank", "Loss"} & labels
    assert not [row for row in table["rows"] if row["is_changed"]]
