"""P15: devices are given out once, in order, all of a run's or none."""

import threading

from store_lab import add_run

from backend.settings import Workspace
from backend.store.runs import RunStore

GPUS = tuple(f"cuda:{index}" for index in range(4))


def port(taken: set[int]) -> int:
    return max(taken, default=29_500) + 1


def test_p15_claims_from_many_threads_never_overlap(workspace: Workspace, store: RunStore) -> None:
    wishes = [(0,), (0, 1), (1, 2), (3,), (2, 3), (), (0, 1, 2, 3), (1,)]
    for number, gpus in enumerate(wishes):
        add_run(store, f"run-{number}", **{"devices.gpus": gpus})
    stores = [RunStore(workspace) for _ in range(4)]
    order: list[tuple[str, tuple[str, ...]]] = []
    held: set[str] = set()
    guard = threading.Lock()

    def work(own: RunStore) -> None:
        while len(order) < len(wishes):
            claim = own.claim_next(GPUS, port)
            if claim is None:
                continue
            with guard:
                order.append((claim.run_id, claim.devices))
                assert not held & set(claim.devices)
                held.update(claim.devices)
            with guard:
                held.difference_update(claim.devices)
            own.transition(claim.run_id, "finished", ("starting",))
            own.release(claim.run_id)

    threads = [threading.Thread(target=work, args=(own,)) for own in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(run_id for run_id, _ in order) == [f"run-{number}" for number in range(len(wishes))]
    assert store.holders() == {}
    for own in stores:
        own.close()


def test_p15_a_run_gets_all_its_devices_or_none(store: RunStore) -> None:
    add_run(store, "one", **{"devices.gpus": (0,)})
    add_run(store, "pair", **{"devices.gpus": (0, 1)})

    first = store.claim_next(GPUS, port)
    second = store.claim_next(GPUS, port)

    assert first is not None
    assert first.devices == ("cuda:0",)
    assert second is None
    assert store.holders() == {"cuda:0": "one"}
    assert store.get("pair").state == "queued"


def test_p15_a_run_may_pass_another_only_on_devices_that_one_does_not_want(store: RunStore) -> None:
    for name, gpus in (("holds", (0,)), ("waits", (0, 1)), ("behind", (1,)), ("passes", (2,)), ("any", ())):
        add_run(store, name, **{"devices.gpus": gpus})

    claims = [store.claim_next(GPUS, port) for _ in range(4)]

    assert [claim and (claim.run_id, claim.devices) for claim in claims] == [
        ("holds", ("cuda:0",)),
        ("passes", ("cuda:2",)),
        ("any", ("cuda:3",)),
        None,
    ]


def test_p16_without_a_wish_runs_start_in_the_order_they_came(store: RunStore) -> None:
    for name in ("first", "second"):
        add_run(store, name)

    first = store.claim_next(("cpu:0",), port)
    blocked = store.claim_next(("cpu:0",), port)
    store.transition("first", "finished", ("starting",))
    still_blocked = store.claim_next(("cpu:0",), port)  # it has ended, but its processes may not all be gone
    store.release("first")  # type: ignore[arg-type]
    second = store.claim_next(("cpu:0",), port)

    assert first is not None
    assert second is not None
    assert (first.run_id, blocked, still_blocked, second.run_id) == ("first", None, None, "second")


def test_p17_runs_at_work_together_get_ports_of_their_own(store: RunStore) -> None:
    for name in ("one", "two", "three"):
        add_run(store, name)

    ports = [claim.port for _ in range(3) if (claim := store.claim_next(GPUS, port)) is not None]

    assert ports == [29_501, 29_502, 29_503]
    assert store.get("two").devices == ("cuda:1",)
    assert store.get("two").started_at is not None


def test_p15_a_run_at_work_keeps_its_devices_before_its_lease_is_found_again(store: RunStore) -> None:
    for name in ("at-work", "waits"):
        add_run(store, name)
    store.claim_next(("cpu:0",), port)
    store.release("at-work")  # type: ignore[arg-type]  # as in a new index, between its row and its lease

    assert store.claim_next(("cpu:0",), port) is None
    store.transition("at-work", "finished", ("starting",))
    claim = store.claim_next(("cpu:0",), port)
    assert claim is not None
    assert claim.run_id == "waits"
