"""D5: what was kept of pages that are closed by now does not grow with every page that was ever opened."""

import datetime
from types import SimpleNamespace

import pytest
from gradio.state_holder import StateHolder

from studio.serving.closed_pages import KEPT, MOST_KEPT, MOST_PAGES, forget_closed


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

    forgotten = forget_closed(holder)

    assert forgotten == 200 - MOST_KEPT
    left = set(holder.session_data)
    assert left == set(holder.time_last_used)
    assert {name for name in left if name.startswith("closed")} == set(many[-MOST_KEPT:])
    assert len(left) == 60 + MOST_KEPT
    assert forget_closed(holder) == 0


def test_d5_a_closed_page_is_kept_for_an_hour_and_an_open_one_for_good(holder: StateHolder):
    opened(holder, "closed", closed=True)
    opened(holder, "open", closed=False)
    now = datetime.datetime.now()  # noqa: DTZ005 - as Gradio notes it

    assert forget_closed(holder, now + KEPT - datetime.timedelta(minutes=1)) == 0
    assert forget_closed(holder, now + KEPT + datetime.timedelta(minutes=1)) == 1
    assert set(holder.session_data) == {"open"}


def test_d5_pages_that_never_count_as_closed_are_bounded_too(assembled: dict[str, list[str]]):
    assert assembled["kept"] == [MOST_PAGES] * 2
