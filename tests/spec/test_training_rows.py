"""The order of samples: seeded, the same on every rank, mixed by weight."""

from collections import Counter

import pytest

pytestmark = pytest.mark.torch


def order_of(sources, seed=3, epoch=0):
    from backend.training.rows import order_of_pass

    return order_of_pass(sources, seed, epoch)


def sources_of(*weights: float):
    from backend.training.rows import Source

    return [Source(str(place), 10 * place, 10, round(10 * weight)) for place, weight in enumerate(weights)]


def test_one_pass_shows_every_row_once_in_a_seeded_order():
    first = order_of(sources_of(1.0))

    assert sorted(first) == list(range(10))
    assert first == order_of(sources_of(1.0))
    assert first != order_of(sources_of(1.0), epoch=1)
    assert first != order_of(sources_of(1.0), seed=4)


def test_a_weight_of_two_shows_each_row_twice_a_pass():
    counts = Counter(order_of(sources_of(2.0, 1.0)))

    assert [counts[row] for row in range(20)] == [2] * 10 + [1] * 10


def test_half_a_weight_shows_the_other_half_in_the_next_pass():
    first, second = (order_of(sources_of(0.5), epoch=epoch) for epoch in (0, 1))

    assert len(first) == len(second) == 5
    assert sorted(first + second) == list(range(10))
