"""Learning from rewards on the real page: choose it, pick rewards, watch what is earned, read what was drawn."""

import re
import time

import pytest
from browser_lab import Served, open_tab, set_knobs
from playwright.sync_api import Page, expect

from backend.conversation import Message
from backend.recipes.library import load_recipe
from backend.runs.answers import Rollout, RolloutAnswer, write_rollouts
from backend.runs.events import EventWriter
from backend.runs.folder import ExitRecord, RunFolder
from backend.settings import Workspace

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{name}} `x`"
SMALL = {"optimiser-max_steps": "3", "batching-batch_size": "16", "grpo-generations": "4"}
SEEDED = "20260101-000000-seeded"


@pytest.fixture(scope="module", autouse=True)
def seeded(served: Served) -> None:
    """One run of the past."""
    seed_run(served.workspace)


def seed_run(workspace: Workspace) -> None:
    """Write the folder of a run that learned for two steps, and drew hostile answers."""
    folder = RunFolder(workspace.output / SEEDED)
    folder.path.mkdir()
    events = EventWriter(folder.events)
    for step, reward in enumerate((0.2, 0.6), start=1):
        events.write("metric", step, loss=0.1, reward=reward, frac_reward_zero_std=0.5)
        events.write("progress", step, phase="training", total_steps=2)
        draw(folder, step - 1)
    events.close()
    record = ExitRecord(
        raw_status=0, exit_code=0, signal=None, duration_s=3, peak_memory_bytes=0, state="finished", reason="", hint="",
        ended_at=time.time(),
    )  # fmt: skip
    folder.exit.write_text(record.model_dump_json())
    spec = load_recipe("grpo").spec.with_values({"name": "seeded", "data.datasets": [{"name": "night-shapes"}]})
    folder.spec.write_text(spec.model_dump_json())


def draw(folder: RunFolder, step: int) -> None:
    def answer(text: str, reward: float | None, advantage: float) -> RolloutAnswer:
        values = {"mine": reward, "mine/part": 0.25}
        return RolloutAnswer(text=text, reward=reward, values=values, advantage=advantage, tokens=3, is_cut=reward == 0)

    answers = (answer("worst", 0.0, -0.7), answer(HOSTILE, 1.0, 1.4), answer("none applies here", None, 0.0))
    asked = (Message(role="user", content=f"<image>What is green? {HOSTILE}"),)
    groups = [
        Rollout(row=f"r{place}", dataset="night-shapes", images=(), asked=asked, gold=f"gold {step}-{place}",
                answers=answers)
        for place in range(6)
    ]  # fmt: skip
    write_rollouts(folder.completions, step, groups)


def open_seeded(page: Page) -> None:
    open_tab(page, "runs")
    page.locator(f"[data-choose='{SEEDED}']").click()
    expect(page.locator("#run-rollouts article").first).to_be_visible()


def test_what_was_drawn_is_ranked_and_hostile_text_stays_text(page: Page):
    open_seeded(page)

    rows = page.locator("#run-rollouts article").first.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text(HOSTILE)
    expect(rows.nth(0).locator(".advantage")).to_have_text("+1.4")
    expect(rows.nth(1)).to_contain_text("worst")
    expect(rows.nth(1).locator(".advantage")).to_have_text("−0.7")
    expect(rows.nth(1)).to_contain_text("cut")
    expect(rows.nth(2)).to_contain_text("none applies")
    rows.nth(0).locator("summary").click()
    expect(rows.nth(0).locator("dl")).to_contain_text("mine/part0.25")
    assert page.locator("#run-rollouts img").count() == 0


def test_a_search_finds_a_question_of_any_drawing_and_opens_it(page: Page):
    open_seeded(page)
    page.locator("#run-rollouts input[type=search]").fill("GOLD 0-5")

    page.locator("#run-rollouts .hit").click()

    expect(page.locator("#run-rollouts select")).to_have_value("0")
    expect(page.locator("#run-rollouts [data-place='5']")).to_contain_text("gold 0-5")
    page.locator("#run-rollouts").get_by_role("button", name="Newer", exact=True).click()
    expect(page.locator("#run-rollouts article").first).to_contain_text("gold 1-0")


def test_newer_answers_are_offered_and_do_not_push_away_what_is_read(page: Page, served: Served):
    open_seeded(page)
    article = page.locator("#run-rollouts article").first
    expect(article).to_contain_text("gold 1-0")
    article.locator("summary").first.click()

    draw(RunFolder(served.workspace.output / SEEDED), 2)
    page.evaluate("id => { studio.watcher.row(id).step += 1; studio.watcher.redraw(); }", SEEDED)

    offer = page.get_by_role("button", name=re.compile("newer answers.*step 2"))
    expect(offer).to_be_visible()
    expect(article).to_contain_text("gold 1-0")
    expect(article.locator("details").first).to_have_attribute("open", "")
    offer.click()
    expect(article).to_contain_text("gold 2-0")
    expect(offer).to_be_hidden()


def test_a_run_that_learned_from_rewards_is_told_by_its_reward(page: Page):
    open_seeded(page)

    expect(page.locator("#run-chart select")).to_have_value("reward")
    expect(page.locator("#run-chart .legend")).to_contain_text("seeded: reward 0.2 → 0.6")
    expect(page.locator("#run-tiles")).to_contain_text("GRPO · LoRA · exact_match · night-shapes")
    expect(page.locator("#run-tiles")).to_contain_text("Reward now0.6")
    expect(page.locator("#run-tiles")).not_to_contain_text("Loss")

    page.locator("#run-again").click()

    expect(page.locator("#plan")).to_contain_text("studio train grpo")
    expect(page.get_by_role("radio", name=re.compile("^Rewards you set"))).to_be_checked()
    expect(page.locator("#rewards [data-name='exact_match']")).to_be_checked()


@pytest.mark.long
def test_what_only_one_kind_of_learning_reads_is_hidden_from_the_other(page: Page):
    open_tab(page, "train")
    page.locator("#advanced > button").click()
    expect(page.locator("#knob-batching-max_tokens")).to_be_visible()
    expect(page.locator("#knob-grpo-generations")).to_be_hidden()

    page.get_by_role("radio", name=re.compile("^Rewards you set")).check()

    expect(page.locator("#knob-grpo-generations")).to_be_visible()
    expect(page.locator("#knob-batching-max_tokens")).to_be_hidden()
    page.locator("#rewards [data-name='exact_match']").uncheck()
    expect(page.locator("#plan .problems")).to_contain_text("Choose at least one reward")
    page.get_by_role("radio", name=re.compile("^Answers you show")).check()
    expect(page.locator("#plan")).to_contain_text("studio train lora")
    expect(page.locator("#rewards")).to_be_hidden()


@pytest.mark.long
def test_the_plan_says_how_many_answers_a_step_draws_and_the_command_names_the_rewards(page: Page):
    open_tab(page, "train")
    page.get_by_role("radio", name=re.compile("^Rewards you set")).check()
    page.locator("#rewards [data-name='length']").check()
    page.locator("#rewards [data-weight='length']").fill("0.5")
    page.locator("#rewards [data-weight='length']").press("Tab")
    page.locator("#advanced > button").click()
    set_knobs(page, SMALL)

    expect(page.locator("#plan")).to_contain_text("16 answers a step: 4 questions, 4 answers to each")
    expect(page.locator("#plan .command pre")).to_contain_text("--reward length:0.5")
