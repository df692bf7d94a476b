"""One real studio and one real Chromium for all browser tests that a worker takes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_lab import (
    CHROMIUM,
    QUIET,
    WIDE,
    Served,
    Watched,
    add_demo,
    start_serving,
    stop_serving,
    watch_over,
)
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from backend.settings import Workspace
from studio.services import PREPARED

expect.set_options(timeout=30_000)  # nothing here is about speed, and a busy machine is slow


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if CHROMIUM.is_file() or os.environ.get("CI"):
        return
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"there is no {CHROMIUM}"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    workspace = Workspace(tmp_path_factory.mktemp("served"))
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    add_demo(workspace, tmp_path_factory.mktemp("rows"), ("shapes", "paint-codes", "night-shapes"))
    served = start_serving(workspace)
    yield served
    stop_serving(served)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def usual(browser: Browser) -> BrowserContext:
    """What most pages are opened in: it has their scripts compiled, and forgets all else after each test."""
    return browser.new_context(viewport=WIDE)


@pytest.fixture
def open_page(browser: Browser, usual: BrowserContext, served: Served) -> Iterator[Callable[..., Watched]]:
    """Open the studio's page; at the end of the test no page may have complained."""
    opened = []

    def open_watched(path: str = "/", **look: object) -> Watched:
        context = browser.new_context(**{"viewport": WIDE, **look}) if look else usual
        watched = Watched(context.new_page())
        watch_over(watched)
        opened.append(watched)
        watched.page.goto(served.address + path)
        watched.page.locator("#nav").wait_for()
        return watched

    yield open_watched
    for watched in opened:
        if watched.page.context is usual:
            watched.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    for page in usual.pages:
        page.close()
    usual.clear_cookies()
    for context in {watched.page.context for watched in opened} - {usual}:
        context.close()
    assert [watched.complaints for watched in opened if watched.complaints] == []


@pytest.fixture
def page(open_page: Callable[..., Watched]) -> Page:
    return open_page().page
