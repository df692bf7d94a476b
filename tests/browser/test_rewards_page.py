"""A person writes a reward on the real page, is warned by a dry run of what it pays for, mends it, trains with it."""

import re
from collections.abc import Callable

import pytest
from browser_lab import Served, Watched, open_tab, set_knobs
from playwright.sync_api import Page, expect

from backend.rewards.store import RewardStore

pytestmark = [pytest.mark.browser, pytest.mark.torch]

DRY_RUN_MS = 180_000
SMALL = {"optimiser-max_steps": "3", "batching-batch_size": "16", "evaluation-rows": "4", "grpo-generations": "4"}
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{name}}"
BAD = """def reward(completions: list[str], answer: list[str], **columns) -> list[float]:
    return [1.0 if given in gold else 0.0 for given, gold in zip(completions, answer, strict=True)]
"""
GOOD = f'''def reward(completions: list[str], answer: list[str], **columns) -> list[float]:
    print("{HOSTILE}")
    return [1.0 if given.strip() == gold.strip() else 0.0 for given, gold in zip(completions, answer, strict=True)]
'''
FAILING = """def reward(completions: list[str], answer: list[str], **columns) -> list[float]:
    return [1 / len(given) for given in completions]
"""


def open_rewards(page: Page) -> None:
    open_tab(page, "rewards")
    expect(page.locator("#reward-head h2")).to_have_text("exact_match")
    expect(page.locator("#reward-code")).to_contain_text("def reward(")


def begin(page: Page, way: str, title: str) -> None:
    page.locator(f"#reward-list [data-key={way}]").click()
    expect(page.locator("#reward-head h2")).to_have_text(title)


def write(page: Page, text: str) -> None:
    editor = page.locator("#reward-code .cm-content")
    expect(editor).to_have_attribute("contenteditable", "true")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)
    expect(page.locator("#reward-findings .bdg")).to_have_text("not saved")


def save(page: Page, name: str = "") -> None:
    if name:
        page.locator("#reward-name").get_by_role("textbox").fill(name)
    page.locator("#reward-save").click()
    expect(page.locator("#reward-findings .bdg")).to_have_text("saved")


def dry_run(page: Page) -> None:
    page.locator("#check-dataset input").click()
    page.get_by_role("option", name="shapes", exact=True).click()
    for knob in ("#check-rows", "#check-answers"):
        page.locator(f"{knob} input").fill("2")
    page.locator("#dry-run").click()
    expect(page.locator("#dry-run-report .importing")).to_be_visible()
    expect(page.locator("#dry-run-report .verdict")).to_be_visible(timeout=DRY_RUN_MS)


@pytest.mark.long
def test_a_reward_that_pays_for_nothing_is_found_out_mended_and_trained_with(page: Page, served: Served):
    open_rewards(page)
    begin(page, "new", "New from a template")
    write(page, BAD)
    expect(page.locator("#reward-findings li.warning").first).to_contain_text("Line 2")
    save(page, "contains")

    dry_run(page)

    report = page.locator("#dry-run-report")
    expect(report.locator("[data-code=pays_adversary]").first).to_contain_text("It pays 1 for an empty answer")
    expect(report.locator(".verdict")).to_contain_text("read the warnings")
    expect(report.locator("article")).to_have_count(2)
    expect(report.locator("article").first.locator("tr.empty .earns")).to_have_text("1")

    write(page, GOOD)
    dry_run(page)

    expect(report.locator(".verdict")).to_contain_text("Passed")
    expect(report.locator("[data-code=pays_adversary]")).to_have_count(0)
    expect(report.locator("article").first.locator("tr.gold .earns")).to_have_text("1")
    expect(report.locator("article").first.locator("tr.empty .earns")).to_have_text("0")
    report.get_by_text("What it printed").first.click()
    expect(report.locator("pre").first).to_have_text(f"{HOSTILE}\n")
    expect(page.locator("#reward-list li", has_text="contains")).to_contain_text("dry run passed")
    assert len(RewardStore(served.workspace).versions("contains")) == 2

    page.locator("#train-with-it").click()

    expect(page.locator("#nav [role=tab][data-tab-id=train]")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#datasets [data-name=shapes]")).to_be_checked()
    expect(page.locator("#rewards [data-name=contains]")).to_be_checked()
    page.locator("#advanced > button").click()
    set_knobs(page, SMALL)
    expect(page.locator("#plan .command pre")).to_contain_text("--reward contains")
    page.locator("#start").click()

    expect(page.locator(".run.chosen")).to_contain_text("finished", timeout=DRY_RUN_MS)
    expect(page.locator("#run-chart .legend")).to_contain_text(re.compile("reward .* over 3 steps"))
    page.locator("#run-rollouts").get_by_role("button", name="Older").click()
    rows = page.locator("#run-rollouts article").first.locator("tbody tr")
    expect(rows).to_have_count(4)
    earned = [float(text) for text in rows.locator(".reward").all_inner_texts()]
    assert earned == sorted(earned, reverse=True)
    expect(page.locator("#run-tiles")).to_contain_text("GRPO · LoRA · contains · shapes")


@pytest.mark.long
def test_what_a_dry_run_found_is_there_after_a_reload_with_the_line_that_failed(page: Page):
    open_rewards(page)
    begin(page, "new", "New from a template")
    write(page, FAILING)
    save(page, "per-letter")
    dry_run(page)

    page.reload()
    open_tab(page, "rewards")

    expect(page.locator("#reward-head h2")).to_have_text("per-letter")
    expect(page.locator("#reward-head .bdg")).to_have_text("dry run not passed")
    report = page.locator("#dry-run-report")
    expect(report.locator(".verdict")).to_contain_text("Not passed")
    expect(report.locator("[data-code=fails]")).to_contain_text("ZeroDivisionError")
    report.get_by_text("Where it failed").first.click()
    expect(report.locator("pre").first).to_contain_text("line 2")

    page.locator("#train-with-it").click()

    expect(page.get_by_text("No dry run of `per-letter` has passed")).to_be_visible()
    expect(page.locator("#nav [role=tab][data-tab-id=rewards]")).to_have_attribute("aria-selected", "true")


def test_a_reward_is_composed_without_code_and_opens_in_the_composer_again(page: Page, served: Served):
    open_rewards(page)
    begin(page, "compose", "Compose without code")
    page.locator("#reward-composer [data-name=length]").check()
    page.locator("#reward-composer [data-weight=length]").fill("0.2")

    expect(page.locator("#pay-sentence")).to_contain_text("Pays 1 for an exact match, plus up to 0.2 for")
    expect(page.locator("#reward-code")).to_contain_text('"length": 0.2')
    expect(page.locator("#reward-code .cm-content")).to_have_attribute("contenteditable", "false")
    page.locator("#reward-composer [data-weight=length]").fill("0")
    expect(page.locator("#pay-sentence .bad")).to_contain_text("length")
    page.locator("#reward-composer [data-weight=length]").fill("0.5")
    expect(page.locator("#pay-sentence")).to_contain_text("at most 1.5 in all")
    page.locator("#reward-name").get_by_role("textbox").fill("Short and right")
    page.locator("#reward-save").click()

    expect(page.locator("#reward-head h2")).to_have_text("short-and-right")
    page.locator("#reward-list [data-key='of:box_iou']").click()
    expect(page.locator("#reward-composer .weighted")).to_have_count(0)
    page.locator("#reward-list [data-key='of:short-and-right']").click()
    expect(page.locator("#reward-composer [data-weight=length]")).to_have_value("0.5")
    assert RewardStore(served.workspace).parts_of("short-and-right") == (("exact_match", 1.0), ("length", 0.5))

    page.locator("#reward-as-code").click()

    expect(page.locator("#reward-code .cm-content")).to_have_attribute("contenteditable", "true")
    expect(page.locator("#reward-composer .weighted")).to_have_count(0)


@pytest.mark.long
def test_a_ready_reward_is_read_only_and_a_copy_is_not_and_goes_back_to_an_older_version(page: Page, served: Served):
    open_rewards(page)
    expect(page.locator("#reward-code .cm-content")).to_have_attribute("contenteditable", "false")
    expect(page.locator("#reward-save")).to_be_hidden()

    page.locator("#reward-copy").click()
    expect(page.locator("#reward-name").get_by_role("textbox")).to_have_value("exact_match-copy")
    save(page)
    first = RewardStore(served.workspace).get("exact_match-copy")
    write(page, GOOD)
    save(page)

    expect(page.locator("#reward-head p")).not_to_contain_text(first.sha256[:8])
    page.locator("#reward-versions").get_by_role("button", name="Earlier versions").click()
    page.locator("#reward-version input").click()
    page.get_by_role("option", name=re.compile(first.sha256[:8])).click()
    page.locator("#reward-restore").click()

    expect(page.locator("#reward-head p")).to_contain_text(first.sha256[:8])
    assert RewardStore(served.workspace).get("exact_match-copy") == first


def test_what_was_typed_is_kept_while_another_reward_is_looked_at(page: Page):
    open_rewards(page)
    begin(page, "new", "New from a template")
    write(page, "def reward(completions, **columns):\n    return [0.25 for _ in completions]\n")

    page.locator("#reward-list [data-key='of:length']").click()
    expect(page.locator("#reward-head h2")).to_have_text("length")
    begin(page, "new", "New from a template")

    expect(page.locator("#reward-code")).to_contain_text("0.25")


@pytest.mark.long
def test_what_cannot_be_saved_is_said(open_page: Callable[..., Watched]):
    page = open_page().page
    open_rewards(page)
    begin(page, "new", "New from a template")
    write(page, "def other(completions):\n    return []\n")

    expect(page.locator("#reward-findings li.error")).to_contain_text("does not define `reward`".replace("`", ""))
    page.locator("#reward-save").click()
    expect(page.get_by_text("The reward has no name yet")).to_be_visible()
    page.locator("#reward-name").get_by_role("textbox").fill("exact_match")
    page.locator("#reward-save").click()
    expect(page.get_by_text("is one of the ready rewards")).to_be_visible()
