"""The Guide tab on the real page: sections to jump to, and a text that fits a telephone."""

from collections.abc import Callable

import pytest
from browser_lab import Watched, open_tab
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

LAST = "A worked example"


def test_the_contents_lead_to_a_section_and_mark_what_is_read(page: Page):
    open_tab(page, "guide")
    contents, heading = page.locator("#guide-contents"), page.get_by_role("heading", name=LAST)
    page.locator("#guide-text h2").first.wait_for()
    expect(contents.get_by_role("button")).to_have_count(page.locator("#guide-text h2").count())
    expect(heading).not_to_be_in_viewport()

    contents.get_by_role("button", name="Learning rates").click()
    expect(page.get_by_role("heading", name="Learning rates")).to_be_focused()
    expect(contents.locator("[aria-current]")).to_have_text("Learning rates")

    contents.get_by_role("button", name=LAST).click()
    expect(heading).to_be_in_viewport()
    expect(contents.get_by_role("button", name=LAST)).to_be_in_viewport()  # it stays beside the text


def test_on_a_telephone_the_contents_fold_and_tables_scroll_inside(open_page: Callable[..., Watched]):
    page = open_page("/", viewport={"width": 390, "height": 844}).page
    open_tab(page, "guide")
    expect(page.locator("#guide-text table").first).to_be_visible()

    right_edges = page.locator("#guide-text :is(p, li, pre, table)").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().right)"
    )
    scrolling = page.locator("#guide-text table").evaluate_all(
        "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).length"
    )

    assert len(right_edges) > 60
    assert max(right_edges) <= 390 - 14
    assert scrolling > 0

    button = page.locator("#guide-contents").get_by_role("button", name=LAST)
    expect(button).to_be_hidden()
    page.locator("#guide-contents summary").click()
    button.click()
    expect(page.get_by_role("heading", name=LAST)).to_be_in_viewport()
    expect(button).to_be_hidden()
