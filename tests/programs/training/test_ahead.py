"""Passes that are prepared ahead come in order and whole, and a mistake is raised at its own place."""

import threading

import pytest

from backend.programs.training.sft import PrefetchingLoader


class Numbers:
    def __init__(self, wrong: int = -1) -> None:
        self.wrong = wrong

    def __len__(self) -> int:
        return 20

    def __getitem__(self, place: int) -> int:
        if place == self.wrong:
            raise ValueError(f"row {place}")
        return place


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch" and thread.is_alive()]


def test_batches_come_in_order_and_as_often_as_asked_for():
    loader = PrefetchingLoader(Numbers(), batch_size=3, collate_fn=list)

    assert [list(loader), list(loader)] == [[list(range(at, min(at + 3, 20))) for at in range(0, 20, 3)]] * 2


def test_a_mistake_is_raised_behind_the_batches_before_it():
    seen = []

    with pytest.raises(ValueError, match="row 7"):
        seen.extend(PrefetchingLoader(Numbers(wrong=7), batch_size=2, collate_fn=list))

    assert seen == [[0, 1], [2, 3], [4, 5]]


def test_a_training_that_stops_early_leaves_no_thread_behind():
    batches = iter(PrefetchingLoader(Numbers(), batch_size=1, collate_fn=list))
    assert next(batches) == [0]
    [producer] = prefetch_threads()

    batches.close()
    producer.join(timeout=5)

    assert prefetch_threads() == []
