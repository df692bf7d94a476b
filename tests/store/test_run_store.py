"""Runs are found, listed, changed and forgotten; their states only go forward (S13)."""

import random
import threading
from datetime import datetime

import pytest
from store_lab import RUN, add_run, write_losses

from backend.errors import NotFoundError, StudioError
from backend.ids import new_run_id
from backend.runs.folder import STATES, TERMINAL, ExitRecord
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore


def test_a_new_run_is_queued_and_carries_its_spec(store: RunStore) -> None:
    spec = RunSpec(name="receipts")
    store.add(RUN, spec, 5.0)

    run = store.get(RUN)

    assert (run.id, run.name, run.state, run.spec, run.created_at) == (RUN, "receipts", "queued", spec, 5.0)
    assert run.folder.path == store.workspace.output / RUN
    assert (run.is_active, run.is_over) == (False, False)


def test_a_run_is_found_by_id_name_or_beginning(store: RunStore) -> None:
    for run_id, name in (("20260101-000000-a", "cats"), ("20260102-000000-b", "dogs"), ("20260103-000000-c", "dogs")):
        store.add(run_id, RunSpec(name=name), 1.0)

    assert store.find("20260102-000000-b").id == "20260102-000000-b"
    assert store.find("cats").id == "20260101-000000-a"
    assert store.find("20260103").id == "20260103-000000-c"
    with pytest.raises(NotFoundError, match="`dogs` means 2 runs: `20260102-000000-b`"):
        store.find("dogs")
    with pytest.raises(NotFoundError, match="means 3 runs"):
        store.find("2026")
    with pytest.raises(NotFoundError, match="no run `catz`\nhint: Did you mean `cats`"):
        store.find("catz")
    with pytest.raises(NotFoundError, match="`studio runs` lists them"):
        store.find("")


def test_lists_are_newest_first_and_can_be_narrowed(store: RunStore) -> None:
    for number in range(4):
        store.add(f"run-{number}", RunSpec(name=f"Run 10{number}%"), 100.0 - number)
    store.transition("run-1", "failed", ("queued",))

    assert [run.id for run in store.views()] == ["run-3", "run-2", "run-1", "run-0"]
    assert [run.id for run in store.views(2)] == ["run-3", "run-2"]
    assert [run.id for run in store.views(states=("failed",))] == ["run-1"]
    assert [run.id for run in store.views(text="rUN 102%")] == ["run-2"]
    assert store.views(text="_") == []
    assert store.names() == {f"run-{number}": f"Run 10{number}%" for number in range(4)}


def test_older_runs_of_one_kind_are_found_behind_many_of_another(store: RunStore) -> None:
    store.add("measured", RunSpec().with_values({"kind": "evaluation"}), 1.0)
    for number in range(3):
        store.add(f"run-{number}", RunSpec(), 2.0 + number)

    assert [run.id for run in store.views(2, kinds=("evaluation",))] == ["measured"]
    assert [run.id for run in store.views(2, kinds=("sft", "grpo"))] == ["run-2", "run-1"]


def test_names_and_notes_are_kept_and_bounded(store: RunStore) -> None:
    store.add(RUN, RunSpec(), 1.0)

    store.rename(RUN, "  a  better\nname ")
    store.set_notes(RUN, "it *works*")

    assert (store.get(RUN).name, store.get(RUN).notes) == ("a better name", "it *works*")
    with pytest.raises(StudioError, match="0 characters"):
        store.rename(RUN, "  ")
    for much in (
        lambda: store.set_notes(RUN, "x" * 20_001),
        lambda: store.annotate(RUN, "a", "x" * 20_001, seen=("a better name", "it *works*")),
    ):
        with pytest.raises(StudioError, match="20,001 characters"):
            much()
    assert store.get(RUN).notes == "it *works*"
    with pytest.raises(NotFoundError, match="`nobody`"):
        store.rename("nobody", "x")


def test_m3_name_and_notes_are_replaced_only_where_they_are_still_those_that_were_seen(store: RunStore) -> None:
    add_run(store, name="first")

    assert store.annotate(RUN, "mine", "my notes", seen=("first", ""))
    assert not store.annotate(RUN, "theirs", "their notes", seen=("first", ""))
    assert not store.annotate(RUN, "theirs", "their notes", seen=("mine", ""))

    assert (store.get(RUN).name, store.get(RUN).notes) == ("mine", "my notes")


def test_a_run_that_is_added_twice_stays_as_it_is(store: RunStore) -> None:
    add_run(store, name="first")
    store.transition(RUN, "starting", ("queued",))

    add_run(store, name="second")

    assert (store.get(RUN).name, store.get(RUN).state) == ("first", "starting")


@pytest.mark.parametrize("name", [".hidden", "Upper Case", "-rf", "a..b", "x" * 81])
def test_s12_a_folder_that_no_run_could_have_is_none(workspace: Workspace, store: RunStore, name: str) -> None:
    (workspace.output / name).mkdir()
    (workspace.output / name / "spec.json").write_text(RunSpec().model_dump_json())

    assert store.rebuild(lambda _: True) == []


def test_a_forgotten_run_takes_its_curve_along(store: RunStore) -> None:
    folder = add_run(store)
    write_losses(folder.events, [1.0])
    store.ingest(folder)
    store.hold(RUN, ("cpu:0",))

    store.remove(RUN)
    store.remove(RUN)

    assert store.views() == []
    assert store.holders() == {}
    assert store.metric_keys([RUN]) == []
    assert folder.events.exists()


def test_s13_states_only_go_forward_and_end_once(store: RunStore) -> None:
    chance = random.Random(3)

    for number in range(25):
        run_id = f"run-{number}"
        store.add(run_id, RunSpec(), 1.0)
        ended_as = None
        for _ in range(12):
            to, allowed = chance.choice(STATES), chance.sample(STATES, 4)
            before = store.get(run_id).state
            moved = store.transition(run_id, to, allowed, reason=to)
            assert moved == (before in allowed and before not in TERMINAL)
            assert store.get(run_id).state == (to if moved else before)
            ended_as = ended_as or (to if moved and to in TERMINAL else None)
        run = store.get(run_id)
        assert ended_as in (None, run.state)
        assert (run.ended_at is not None) == (ended_as is not None)


def test_s13_of_many_who_end_a_run_one_wins(store: RunStore) -> None:
    store.add(RUN, RunSpec(), 1.0)
    won: list[str] = []

    def end(state: str) -> None:
        if store.transition(RUN, state, ("queued",), reason=state):
            won.append(state)

    threads = [threading.Thread(target=end, args=(state,)) for state in TERMINAL * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert won == [store.get(RUN).state]
    assert store.get(RUN).reason == won[0]


def test_s12_a_new_index_takes_in_every_run_folder(workspace: Workspace, store: RunStore) -> None:
    ended = ExitRecord(
        raw_status=256, exit_code=1, signal=None, duration_s=1.0, peak_memory_bytes=1, state="failed", reason="Because",
        hint="So", ended_at=9.0,
    )  # fmt: skip
    folder = add_run(store, "20260101-000000-over", **{"strategy.name": "qlora"})
    write_losses(folder.events, [2.0, 1.0])
    folder.exit.write_text(ended.model_dump_json())
    now = datetime.now().astimezone()
    before = add_run(store, new_run_id("waits", now))
    store.remove(folder.run_id)
    store.remove(before.run_id)
    (workspace.output / "no-spec").mkdir()
    (workspace.output / "link").symlink_to(folder.path)
    damaged = workspace.output / new_run_id("damaged", now)
    damaged.mkdir()
    (damaged / "spec.json").write_text('{"batching": {"batch_size": "many"}}')

    added = store.rebuild()

    assert added == [folder.run_id, before.run_id, damaged.name]
    run = store.get(folder.run_id)
    assert (run.state, run.reason, run.hint, run.ended_at, run.step) == ("failed", "Because", "So", 9.0, 2)
    assert run.spec.strategy.name == "qlora"
    assert store.get(before.run_id).state == "queued"
    assert store.get(damaged.name).state == "failed"
    assert store.rebuild() == []


def test_a_spec_of_another_version_does_not_hide_the_list(workspace: Workspace, store: RunStore) -> None:
    folder = add_run(store, new_run_id("old", datetime.now().astimezone()))
    store.remove(folder.run_id)
    folder.spec.write_text('{"name": "old", "batching": {"batch_size": 4, "gone": 1}, "later": true}')

    store.rebuild()

    (run,) = store.views()
    assert (run.name, run.spec.name, run.spec.batching.batch_size) == ("old", "old", 4)
