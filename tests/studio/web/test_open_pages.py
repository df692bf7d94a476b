"""D5: what was kept of pages that are closed by now does not grow with every page that was ever opened."""

import datetime
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from gradio.state_holder import StateHolder

from studio.web.open_pages import KEPT, MOST_ADDED, MOST_EVENTS_NOTED, MOST_KEPT, MOST_PAGES, OpenPages

MINUTE = datetime.timedelta(minutes=1)
NOW = datetime.datetime.now()  # noqa: DTZ005 - as Gradio notes it


@pytest.fixture
def holder() -> StateHolder:
    return StateHolder()


def used(holder: StateHolder, *names: str, at: datetime.datetime = NOW) -> None:
    """Let Gradio keep something of these pages; a whole page would need a whole app around it."""
    for number, name in enumerate(names):
        holder.session_data[name] = SimpleNamespace(is_closed=False, state_components=[], state_data={})
        holder.time_last_used[name] = at + number * datetime.timedelta(seconds=0.001)


def test_d5_of_pages_without_a_connection_the_last_few_are_kept_and_all_others(holder: StateHolder):
    many, opened = [f"closed {number:03d}" for number in range(200)], [f"open {number}" for number in range(60)]
    pages = OpenPages(holder)
    used(holder, *many[:100])
    used(holder, *opened)
    used(holder, *many[100:], at=NOW + MINUTE)

    with ExitStack() as connections:
        for name in opened:
            connections.enter_context(pages.connected(name))
        assert pages.forget(NOW + 2 * MINUTE) == 200 - MOST_KEPT
        left = set(holder.session_data)
        assert left == set(holder.time_last_used) == {*opened, *many[-MOST_KEPT:]}
        assert pages.forget(NOW + 2 * MINUTE) == 0


def test_d5_a_page_without_a_connection_is_kept_for_an_hour_after_its_last_use(holder: StateHolder):
    pages = OpenPages(holder)
    used(holder, "resting", "open")

    with pages.connected("open"), pages.connected("open"):
        assert pages.forget(NOW + KEPT - MINUTE) == 0
        holder.time_last_used["resting"] = NOW + 10 * MINUTE  # its connection broke, and somebody goes on with it
        holder.session_data["resting"].is_closed = True  # as Gradio says of it
        assert pages.forget(NOW + KEPT + MINUTE) == 0
        assert not holder.session_data["resting"].is_closed  # so that Gradio keeps its values too
        assert pages.forget(NOW + KEPT + 11 * MINUTE) == 1
        assert set(holder.session_data) == {"open"}
    assert pages.forget(NOW + KEPT + 11 * MINUTE) == 1


def test_w17_pages_that_are_made_up_one_after_the_other_push_each_other_out(holder: StateHolder):
    pages = OpenPages(holder)
    used(holder, "open")

    with pages.connected("open"):
        for number in range(200):
            pages.forget_if_full(f"made up {number}")
            used(holder, f"made up {number}", at=NOW + number * MINUTE / 1000)
            pages.forget_if_full(f"made up {number}")
        assert len(holder.session_data) <= MOST_KEPT + 2
    assert "open" in holder.session_data


def test_d5_a_page_that_is_used_all_day_holds_no_more_components_than_it_has(holder: StateHolder):
    """Gradio keeps a changed component under a number of its own, besides the one that it stands in for."""
    built = {number: object() for number in range(10)}
    holder.blocks = SimpleNamespace(default_config=SimpleNamespace(blocks=built))
    shown = {number: object() for number in range(10 + MOST_ADDED + 1)}
    values = {number: {} for number in shown}
    holder.session_data["used"] = SimpleNamespace(blocks_config=SimpleNamespace(blocks=shown), config_values=values)
    pages = OpenPages(holder)

    pages.tidy("used")
    pages.tidy("unknown")

    assert set(shown) == set(values) == set(built)


def test_d5_what_gradio_notes_of_events_for_nobody_is_forgotten(holder: StateHolder):
    told = {str(number): {} for number in range(MOST_EVENTS_NOTED + 1)}

    OpenPages(holder, told).forget()

    assert told == {}


def test_d5_open_pages_are_bounded_too(assembled: dict[str, list[str]]):
    assert assembled["kept"] == [MOST_PAGES] * 2
