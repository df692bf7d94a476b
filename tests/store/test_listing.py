"""The list that many pages ask for: a row is made once for each of its states, and read when somebody wrote."""

from collections.abc import Callable

import pytest
from sqlalchemy import event
from store_lab import RUN, add_run, write_losses

from backend.ids import RunId
from backend.settings import Workspace
from backend.store import views
from backend.store.runs import RunStore
from backend.store.views import RunListing, RunView, Snapshot


class Shown:
    """What is kept of each run, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, view: RunView) -> str:
        self.asked.append(view.id)
        return f"{view.name} is {view.state} at {view.step}"


def texts(snapshot: Snapshot[str]) -> list[str]:
    return [entry.value for entry in snapshot.newest_first()]


def test_only_rows_that_changed_are_made_anew(store: RunStore):
    folders = [add_run(store, name, name=name) for name in ("a", "b", "c")]
    shown = Shown()
    views = store.listing(shown)
    before = views.snapshot()
    write_losses(folders[1].events, [1.0, 0.5])
    store.ingest(folders[1])

    after = views.snapshot()

    assert texts(before) == ["c is queued at 0", "b is queued at 0", "a is queued at 0"]
    assert texts(after) == ["c is queued at 0", "b is queued at 2", "a is queued at 0"]
    assert sorted(shown.asked) == ["a", "b", "b", "c"]
    assert [entry.change for entry in after.newest_first()] == [1, 2, 1]


def test_no_row_is_read_while_nobody_writes(store: RunStore):
    add_run(store)
    views = store.listing(Shown())
    first = views.snapshot()
    said: list[str] = []
    event.listen(store._database.reader, "before_cursor_execute", lambda *call: said.append(call[2]))

    again = [views.snapshot() for _ in range(5)]

    assert said == []
    assert all(snapshot is first for snapshot in again)


def test_what_another_process_writes_is_seen(workspace: Workspace, store: RunStore):
    views = store.listing(Shown())
    assert views.snapshot().entries == {}
    other = RunStore(workspace)
    add_run(other, name="from elsewhere")
    other.close()

    assert texts(views.snapshot()) == ["from elsewhere is queued at 0"]


def test_a_change_that_shows_nowhere_is_none(store: RunStore):
    add_run(store)
    views = store.listing(lambda view: view.name)
    before = views.snapshot()
    store.set_notes(RUN, "noted")

    assert views.snapshot().change == before.change


def test_removed_runs_are_told_until_too_many_are(store: RunStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(views, "MOST_REMEMBERED", 2)
    for name in ("a", "b", "c", "d"):
        add_run(store, name)
    runs = store.listing(Shown())
    runs.snapshot()

    def removed(name: str) -> Snapshot[str]:
        store.remove(RunId(name))
        return runs.snapshot()

    assert removed("a").removals == ((2, "a"),)
    assert removed("b").removals == ((2, "a"), (3, "b"))
    assert removed("c").removals == ((3, "b"), (4, "c"))
    assert runs.snapshot().removals_since == 2
    assert list(runs.snapshot().entries) == ["d"]


def test_a_run_that_cannot_be_shown_is_tried_again(store: RunStore):
    """What `show` raises reaches who asked, and nothing of the change is lost."""
    add_run(store)
    fails: list[bool] = [True]

    def show(view: RunView) -> str:
        if fails.pop() if fails else False:
            raise OSError("not just now")
        return view.name

    runs: RunListing[str] = store.listing(show)
    with pytest.raises(OSError, match="not just now"):
        runs.snapshot()

    assert list(runs.snapshot().entries) == [RUN]


def test_many_threads_see_one_listing(store: RunStore):
    from concurrent.futures import ThreadPoolExecutor

    folders = [add_run(store, f"run-{number}") for number in range(20)]
    runs = store.listing(Shown())

    def look(_: int) -> int:
        return runs.snapshot().change

    def write(number: int) -> None:
        write_losses(folders[number].events, [1.0])
        store.ingest(folders[number])

    acts: list[Callable[[], object]] = [lambda n=n: write(n) for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(act) for act in acts] + [pool.submit(look, number) for number in range(200)]
        changes = [future.result() for future in futures[20:]]

    assert max(changes) <= 21
    assert all(" at 1" in text for text in texts(runs.snapshot()))
