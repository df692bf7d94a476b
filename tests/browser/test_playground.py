"""The Playground on the real page, with the real demo model in a real inference program."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser_lab import Served, Watched, open_tab, write_run
from PIL import Image
from playwright.sync_api import Page, expect

from backend.ids import RunId
from backend.settings import DEMO_MODEL

pytestmark = [pytest.mark.browser, pytest.mark.torch]

LOAD_MS = 90_000  # a program starts and loads torch
BROKEN, TWIN = "20260101-000000-broken", "20251231-000000-twin"  # the older one, so that pages offer the other first


@pytest.fixture(scope="module", autouse=True)
def trained_runs(served: Served) -> None:
    """A run whose final model is the demo model again, and one whose weights are no weights."""
    write_run(served.workspace, TWIN, (DEMO_MODEL / "model.safetensors").read_bytes())
    write_run(served.workspace, BROKEN, b"no weights")


def choose(page: Page, dropdown: str, label: str) -> None:
    page.locator(f"{dropdown} input").click()
    page.locator(dropdown).get_by_role("option", name=re.compile(f"^{re.escape(label)}")).click()


def ask(page: Page, question: str) -> None:
    page.locator("#prompt textarea").fill(question)
    page.keyboard.press("Enter")


@pytest.fixture
def playground(page: Page) -> Page:
    open_tab(page, "playground")
    expect(page.locator("#model-1 input")).to_have_value("Demo (shapes)")
    return page


def test_two_models_answer_side_by_side_and_a_broken_one_says_why_in_its_own_column(
    playground: Page, open_page: Callable[..., Watched]
):
    page = playground
    choose(page, "#model-2", "broken")
    choose(page, "#model-3", "Demo (shapes)")
    page.locator("#image-strip button").first.click()
    expect(page.locator("#prompt img")).to_have_count(1)

    ask(page, "What shape is in the picture?")

    for number in (1, 3):
        column = page.locator(f"#answers-{number}")
        expect(column.locator(".status")).to_have_text(re.compile(r"\d+ tokens · [\d.–]+ tokens/s · "), timeout=LOAD_MS)
        expect(column.locator(".bubble.user img")).to_have_count(1)
        expect(column.locator(".bubble.assistant")).to_have_count(1)
    expect(page.locator("#answers-2 .report.bad")).to_contain_text("This model cannot answer", timeout=LOAD_MS)
    answers = [page.locator(f"#answers-{number} .bubble.assistant p").inner_text() for number in (1, 3)]
    assert answers[0] == answers[1]  # same image, question, seed and model

    ask(page, "And how many are there?")
    expect(page.locator("#answers-1 .bubble.user")).to_have_count(2)
    expect(page.locator("#answers-1 .bubble.assistant")).to_have_count(2, timeout=LOAD_MS)
    expect(page.locator("#prompt textarea")).to_be_enabled(timeout=LOAD_MS)
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator("#answers-1 .status.busy")).to_have_count(0, timeout=LOAD_MS)
    expect(page.locator("#answers-1 .bubble.assistant")).to_have_count(2, timeout=LOAD_MS)

    expect(page.locator("#talk-link")).to_contain_text("Saved")
    link = urlsplit(page.url).query
    assert re.fullmatch(r"talk=[0-9a-f]{24}", link)
    again = open_page(f"/zh/?{link}").page
    expect(again.locator("#answers-1 .bubble.assistant p").first).to_have_text(answers[0])
    expect(again.locator("#answers-1 .bubble.user")).to_have_count(2)
    expect(again.locator("#answers-1 .bubble.user img")).to_have_count(1)
    expect(again.locator("#model-3 input")).to_have_value("Demo (shapes)")
    again.locator("#kept-talks [data-delete]").first.click()
    again.locator("#kept-talks .sure").click()
    expect(again.locator("#kept-talks [data-delete]")).to_have_count(0)

    page.get_by_role("button", name="Start a new conversation").click()
    expect(page.locator("#answers-1")).to_contain_text("Nothing asked yet")
    assert not urlsplit(page.url).query


def test_an_own_image_can_be_added_and_one_that_is_none_is_refused_in_words(playground: Page, tmp_path: Path):
    page = playground
    (tmp_path / "no.png").write_bytes(b"not an image")
    Image.new("RGB", (80, 80), "red").save(tmp_path / "yes.png")
    file_input = page.locator("#prompt input[type=file]")

    file_input.set_input_files(tmp_path / "no.png")
    expect(page.locator("#prompt .thumbnail-item img")).to_have_count(1)
    ask(page, "What is it?")
    expect(page.locator(".toast-body")).to_contain_text("no.png")
    expect(page.locator("#answers-1")).to_contain_text("Nothing asked yet")


def test_nothing_to_ask_and_control_tokens_are_refused(playground: Page):
    ask(playground, "")
    expect(playground.locator(".toast-body")).to_contain_text("There is nothing to ask")

    ask(playground, "say <|im_end|> now")
    expect(playground.locator(".toast-body").last).to_contain_text("<|im_end|>")
    expect(playground.locator("#prompt textarea")).to_have_value("say <|im_end|> now")  # still there to be corrected


@pytest.mark.long
def test_stopping_keeps_what_was_said(playground: Page):
    page = playground
    page.get_by_role("button", name="Length, chance and seed").click()
    page.locator("#max-new-tokens input[type=number]").fill("2048")
    page.locator("#temperature input[type=number]").fill("2")
    page.keyboard.press("Tab")

    ask(page, "Describe everything at great length.")
    page.locator("#stop-answers").wait_for(timeout=LOAD_MS)
    page.wait_for_timeout(300)  # nobody is quicker
    page.evaluate("document.querySelector('#stop-answers')?.click()")  # a short answer may have ended by itself

    expect(page.locator("#answers-1 .status")).to_have_text(re.compile("stopped|finished|cut off"), timeout=LOAD_MS)
    expect(page.locator("#stop-answers")).to_be_hidden()
    expect(page.locator("#prompt textarea")).to_be_enabled()


def test_the_page_says_that_only_the_model_differs(open_page: Callable[..., Watched]):
    page = open_page("/zh/").page
    open_tab(page, "playground")

    expect(page.locator(".block.same")).to_contain_text("同样的图片、同样的问题和同样的随机种子")


@pytest.mark.long
def test_what_runs_choose_opens_beside_the_model_it_was_trained_from(open_page: Callable[..., Watched], served: Served):
    page = open_page().page
    assert RunId(BROKEN)
    open_tab(page, "runs")
    page.locator("#run-list .run", has_text="broken").locator(".open").click()
    page.locator("#run-playground").click()

    expect(page.locator("#model-2 input")).to_have_value(re.compile("broken"))
    expect(page.locator("#model-1 input")).to_have_value("Demo (shapes)")


@pytest.mark.long
def test_a_blind_vote_goes_by_keyboard_and_shows_no_name_before_its_end(
    playground: Page, open_page: Callable[..., Watched]
):
    page = playground
    page.get_by_label("Blind vote").check()
    choose(page, "#blind-model-1", "Demo (shapes)")
    choose(page, "#blind-model-2", "twin")
    choose(page, "#blind-dataset", "shapes")
    page.get_by_role("button", name="Start the blind vote").click()
    sides, votes = page.locator("#blind-vote .side"), page.locator("#blind-vote .tally")

    expect(sides).to_have_count(2, timeout=LOAD_MS)
    expect(page.locator("#blind-vote .question img")).to_have_count(1)
    assert not re.search("Demo|twin", page.locator("#nav").evaluate("nav => nav.outerHTML"))
    page.get_by_role("button", name="System prompt").click()
    page.locator("#system textarea").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#blind-vote h2").focus()
    expect(votes).to_have_text("No vote yet.")
    page.keyboard.press("ArrowLeft")
    expect(votes).to_contain_text("Votes so far: 1. Nobody is ahead")
    expect(page.locator("#blind-vote h2")).to_contain_text("Question 2 of")
    expect(sides).to_have_count(2, timeout=LOAD_MS)
    page.keyboard.press("0")
    expect(votes).to_contain_text("Votes so far: 2.")
    assert not re.search("Demo|twin", page.locator("#nav").evaluate("nav => nav.outerHTML"))

    page.get_by_role("button", name="Show the names").click()
    expect(page.locator("#blind-vote .verdict")).to_contain_text("Nobody is preferred beyond chance")
    expect(page.locator("#blind-vote dl")).to_contain_text("twin")
    expect(page.locator("#kept-votes li")).to_have_count(1)

    again = open_page(f"/?{urlsplit(page.url).query}").page
    expect(again.locator("#blind-vote dl")).to_contain_text("twin")
    expect(again.locator("#blind-vote .voting")).to_be_hidden()
