"""P15: devices are given out once, in order, all of a run's or none."""

import threading

from store_lab import RUN, add_run

from backend.settings import Workspace
from backend.store.queue import Holder, Lease
from backend.store.runs import RunStore

GPUS = tuple(f"cuda:{index}" for index in range(4))


def port(taken: set[int]) -> int:
    return max(taken, default=29_500) + 1


def test_p15_claims_from_many_threads_never_overlap(workspace: Workspace, store: RunStore) -> None:
    wishes = [(0,), (0, 1), (1, 2), (3,), (2, 3), (), (0, 1, 2, 3), (1,)]
    for number, gpus in enumerate(wishes):
        add_run(store, f"run-{number}", **{"devices.gpus": gpus})
    stores = [RunStore(workspace) for _ in range(5)]
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

    def talk(own: RunStore) -> None:
        while len(order) < len(wishes):
            for device in GPUS:
                if own.hold_for_chat(chat(device), GPUS):
                    with guard:
                        assert device not in held
                    own.release("chat")

    threads = [threading.Thread(target=work, args=(own,)) for own in stores[:-1]]
    threads.append(threading.Thread(target=talk, args=(stores[-1],)))
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


def test_p15_runs_share_a_device_only_where_they_asked_to(store: RunStore) -> None:
    add_run(store, "alone")
    add_run(store, "waits")
    add_run(store, "shares", **{"devices.shared": True})

    claims = [store.claim_next(("cpu:0",), port) for _ in range(3)]

    assert [claim.run_id if claim else None for claim in claims] == ["alone", "shares", None]
    assert [lease.holder for lease in store.leases()] == ["alone", "shares"]
    for run_id in ("alone", "shares"):
        assert store.claim_next(("cpu:0",), port) is None  # both must be gone before one that did not ask may begin
        store.transition(run_id, "finished", ("starting",))  # type: ignore[arg-type]
        store.release(run_id)
    assert store.claim_next(("cpu:0",), port).run_id == "waits"  # type: ignore[union-attr]


def test_of_a_queue_only_some_may_be_meant(store: RunStore) -> None:
    for name in ("first", "second"):
        add_run(store, name)

    assert store.claim_next(("cpu:0",), port, set()) is None
    claim = store.claim_next(("cpu:0",), port, {"second"})
    assert claim is not None
    assert claim.run_id == "second"


def chat(device: str, name: str = "chat", *, keeps_out: bool = True) -> Lease:
    return Lease(device, name, None, "demo", keeps_out, Holder(2, 3, "boot"), 1.0)


def test_p15_a_chat_holds_a_gpu_like_a_run_and_says_so(store: RunStore) -> None:
    assert store.hold_for_chat(chat("cuda:0"), GPUS)
    add_run(store, "run", **{"devices.gpus": (0,)})

    assert store.claim_next(GPUS, port) is None
    assert store.wanted_devices(GPUS) == {"cuda:0"}
    store.release("chat")
    assert not store.hold_for_chat(chat("cuda:0"), GPUS)  # the run waits for it: it goes first
    assert store.claim_next(GPUS, port) is not None
    assert not store.hold_for_chat(chat("cuda:0"), GPUS)
    assert store.hold_for_chat(chat("cuda:0"), GPUS, beside_runs=True)
    assert {lease.holder_label for lease in store.leases()} == {"a chat with `demo`", "the run `run`"}


def test_p15_a_run_at_work_keeps_chats_out_before_its_lease_is_found_again(store: RunStore) -> None:
    add_run(store, "at-work", **{"devices.gpus": (0,)})
    store.claim_next(GPUS, port)
    store.release("at-work")  # as in a new index, between its row and its lease

    assert not store.hold_for_chat(chat("cuda:0"), GPUS)
    assert store.hold_for_chat(chat("cuda:1"), GPUS)


def test_p15_a_chat_on_the_cpu_keeps_nobody_waiting(store: RunStore) -> None:
    add_run(store, "run")

    assert store.hold_for_chat(chat("cpu:0", keeps_out=False), ("cpu:0",))
    assert store.claim_next(("cpu:0",), port) is not None
    assert store.hold_for_chat(chat("cpu:0", "another", keeps_out=False), ("cpu:0",))


def test_p15_a_runs_lease_is_handed_over_to_nobody(store: RunStore) -> None:
    add_run(store)
    store.hold(RUN, ("cpu:0",))

    assert not store.hand_over(RUN, Holder(7, 8, "boot"))

    assert [(lease.holder, lease.process) for lease in store.leases()] == [(RUN, None)]


def test_a_lease_can_be_handed_over_only_while_it_is_there(store: RunStore) -> None:
    store.hold_for_chat(chat("cuda:0"), GPUS)

    assert store.hand_over("chat", Holder(7, 8, "boot"))
    assert [lease.process for lease in store.leases()] == [Holder(7, 8, "boot")]
    store.release("chat")
    assert not store.hand_over("chat", Holder(7, 8, "boot"))
