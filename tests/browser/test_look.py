"""Every page in both appearances, both widths and both languages: whole, in words, and of this machine only."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_lab import WIDE, Watched, open_tab
from playwright.sync_api import Page, expect

from backend.settings import ROOT
from studio.ui.i18n import Language, catalogue

pytestmark = pytest.mark.browser

NARROW = {"width": 390, "height": 844}
READY = {
    "data": "#dataset-rows article",
    "train": "#plan table",
    "rewards": "#reward-head h2",
    "runs": "#run-list :is(.none, .run)",
    "playground": "#image-strip button",
    "guide": "#guide-text h2",
}
SCREENSHOTS = ROOT / "screenshots"
ALL_LOADED = """() => document.fonts.status === "loaded"
    && [...document.images].every((image) => image.complete || image.loading === "lazy")"""


LOOKS: list[tuple[Language, str, dict[str, int]]] = [  # each language, scheme and width
    ("en", "light", WIDE), ("zh", "dark", NARROW),
]  # fmt: skip


def image_of(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def visible_text(page: Page) -> str:
    return page.evaluate("document.body.innerText")


def assert_reads_well(page: Page, language: Language) -> None:
    text = visible_text(page)
    assert not re.search(r"(?<!\{)\{\w*\}(?!\})|__i18n__|undefined|\[object|NaN", text)
    assert not set(re.findall(r"[a-z_]+(?:\.[\w]+)+", text)) & catalogue(language).keys()


@pytest.mark.parametrize(("language", "scheme", "size"), LOOKS)
def test_every_tab_fits_and_reads_well(
    open_page: Callable[..., Watched], scheme: str, size: dict[str, int], language: Language
):
    page = open_page("/" if language == "en" else "/zh/", viewport=size, color_scheme=scheme).page

    for tab, ready in READY.items():
        open_tab(page, tab)
        page.locator(ready).first.wait_for()
        page.wait_for_function(ALL_LOADED)

        image_of(page, f"{tab}-{language}-{scheme}-{size['width']}")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], tab
        assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
        assert_reads_well(page, language)


@pytest.mark.long
def test_a_page_says_its_language_and_gradio_follows_it(open_page: Callable[..., Watched]):
    chinese, english = open_page("/zh/", locale="en-US").page, open_page("/", locale="zh-CN").page

    expect(chinese.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(english.locator("html")).to_have_attribute("lang", "en")
    expect(chinese.locator("#upload-files")).to_contain_text("点击上传")
    expect(english.locator("#upload-files")).to_contain_text("Click to Upload")


@pytest.mark.long
def test_the_language_link_leads_to_the_other_language_and_back(page: Page):
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("你的数据")

    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your data")


@pytest.mark.long
def test_the_chosen_appearance_is_remembered(page: Page):
    switch = page.get_by_role("button", name="Dark appearance")
    expect(switch).to_have_attribute("aria-pressed", "false")

    switch.click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.reload()

    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    expect(page.get_by_role("button", name="Dark appearance")).to_have_attribute("aria-pressed", "true")


def test_arrow_keys_move_among_the_tabs(page: Page):
    expect(page.get_by_role("tablist")).to_have_attribute("aria-label", "Sections")
    page.get_by_role("tab", name="Data").focus()

    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Guide")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("tab", name="Data")).to_have_attribute("aria-selected", "true")


def test_images_of_every_tab_were_taken():
    taken = {path.name for path in Path(SCREENSHOTS).glob("*.png")}
    wanted = {f"{tab}-{language}-{scheme}-{size['width']}.png" for tab in READY for language, scheme, size in LOOKS}
    assert len(wanted) == 12
    assert wanted <= taken
