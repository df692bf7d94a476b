"""D5: what was kept of pages that are closed by now does not grow with every page that was ever opened."""

import datetime
from types import SimpleNamespace

import pytest
from gradio.state_holder import StateHolder

from studio.serving.closed_pages import KEPT, MOST_KEPT, MOST_PAGES, ClosedPages

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def holder() -> StateHolder:
    return StateHolder()


def opened(holder: StateHolder, *names: str, closed: bool) -> None:
    """Let Gradio keep something of these pages; a whole page would need a whole app around it."""
    for name in names:
        holder.session_data[name] = SimpleNamespace(is_closed=closed, state_components=[], state_data={})
        holder.time_last_used[name] = datetime.datetime.now()  # noqa: DTZ005 - as Gradio notes it


def test_d5_of_pages_that_are_closed_the_last_few_are_kept_and_open_ones_all(holder: StateHolder):
    many = [f"closed {number:03d}" for number in range(200)]
    opened(holder, *many[:100], closed=True)
    opened(holder, *(f"open {number}" for number in range(60)), closed=False)
    opened(holder, *many[100:], closed=True)

    pages = ClosedPages(holder)
    forgotten = pages.forget()

    assert forgotten == 200 - MOST_KEPT
    left = set(holder.session_data)
    assert left == set(holder.time_last_used)
    assert {name for name in left if name.startswith("closed")} == set(many[-MOST_KEPT:])
    assert len(left) == 60 + MOST_KEPT
    assert pages.forget() == 0


def test_d5_a_closed_page_is_kept_for_an_hour_and_an_open_one_for_good(holder: StateHolder):
    opened(holder, "closed", closed=True)
    opened(holder, "open", closed=False)
    now, pages = datetime.datetime.now(), ClosedPages(holder)  # noqa: DTZ005 - as Gradio notes it

    assert pages.forget(now + KEPT - MINUTE) == 0
    assert pages.forget(now + KEPT + MINUTE) == 1
    assert set(holder.session_data) == {"open"}


def test_d5_a_page_whose_connection_broke_is_open_again_until_an_hour_after_its_last_use(holder: StateHolder):
    opened(holder, "broken", closed=True)
    now, pages = datetime.datetime.now(), ClosedPages(holder)  # noqa: DTZ005 - as Gradio notes it
    pages.forget(now)
    holder.time_last_used["broken"] = now + MINUTE
    opened(holder, *(f"closed {number:03d}" for number in range(100)), closed=True)
    for number in range(100):
        holder.time_last_used[f"closed {number:03d}"] = now + 2 * MINUTE

    pages.forget(now + 3 * MINUTE)

    assert not holder.session_data["broken"].is_closed  # so Gradio keeps its values too
    pages.forget(now + KEPT)
    assert "broken" in holder.session_data
    pages.forget(now + KEPT + 2 * MINUTE)
    assert "broken" not in holder.session_data


def test_d5_a_page_that_came_back_and_was_closed_counts_as_closed(holder: StateHolder):
    opened(holder, "back", closed=True)
    now, pages = datetime.datetime.now(), ClosedPages(holder)  # noqa: DTZ005 - as Gradio notes it
    pages.forget(now)
    holder.time_last_used["back"] = now + MINUTE
    pages.forget(now + 2 * MINUTE)

    holder.session_data["back"].is_closed = True  # it had connected again
    pages.forget(now + 3 * MINUTE)

    assert holder.session_data["back"].is_closed


def test_d5_pages_that_never_count_as_closed_are_bounded_too(assembled: dict[str, list[str]]):
    assert assembled["kept"] == [MOST_PAGES] * 2
