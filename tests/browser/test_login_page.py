"""A studio with an account, as a person meets it: the login page, the page behind it, and the way out."""

from collections.abc import Callable, Iterator

import pytest
from browser_lab import Served, Watched, open_tab, start_serving, stop_serving, watch_over
from playwright.sync_api import Browser, expect

from backend.settings import Workspace
from studio.services import PREPARED
from studio.web.account_file import AccountFile

pytestmark = pytest.mark.browser
NAME, PASSWORD = "ann", "four words of rain"


@pytest.fixture
def locked(tmp_path) -> Iterator[Served]:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    AccountFile(workspace).add(NAME, PASSWORD)
    served = start_serving(workspace)
    yield served
    stop_serving(served)


@pytest.fixture
def arrive(browser: Browser, locked: Served) -> Iterator[Callable[[str], Watched]]:
    context = browser.new_context(viewport={"width": 390, "height": 844})

    def arrived(path: str) -> Watched:
        watched = Watched(context.new_page())
        watch_over(watched)
        watched.page.goto(locked.address + path)
        return watched

    yield arrived
    context.close()


def test_w6_w12_a_person_logs_in_works_and_logs_out(arrive: Callable[[str], Watched], locked: Served):
    watched = arrive("/zh/")
    page = watched.page
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="English").click()

    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password").fill("not these words")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("Name and password do not go together.")
    expect(page.get_by_label("Name")).to_have_value(NAME)
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    page.locator("#nav").wait_for()
    assert page.url == f"{locked.address}/"  # in the language that was chosen on the way
    expect(page.locator(".topbar .who")).to_contain_text(NAME)
    open_tab(page, "train")
    expect(page.locator("#plan table")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(locked.address)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert [complaint for complaint in watched.complaints if "401" not in complaint] == []
