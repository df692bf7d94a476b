"""Blind votes: what is known at any time, and how rarely it is wrong."""

import numpy as np
import pytest

from backend.metrics.preference import Preference, preference


def test_nothing_is_known_without_votes_or_with_ties_alone():
    assert preference([]) == preference(["tie"] * 9) == Preference(1.0, 0.5, 0.0, 1.0, "undecided")


@pytest.mark.parametrize(("votes", "verdict"), [(7, "undecided"), (8, "a")])
def test_eight_votes_to_none_decide(votes, verdict):
    found = preference(["a"] * votes)

    assert found.verdict == verdict
    assert found.p == pytest.approx((votes + 1) / 2**votes)  # 1 / M, M = 2^n B(n + 1, 1)
    assert (found.low > 0.5) == (verdict == "a")
    assert (found.share, found.high) == (1.0, 1.0)


def test_ties_change_nothing_and_sides_are_alike():
    for_b = preference(["b", "tie", "b", "a", "tie", *"bbbbbbbbbb"])
    for_a = preference(["a", "a", "b", *"aaaaaaaaaa"])

    assert for_b.verdict == "b"
    assert for_b.p == pytest.approx(for_a.p)
    assert (1 - for_b.high, 1 - for_b.low) == pytest.approx((for_a.low, for_a.high))


def test_what_was_decided_stays_decided():
    found = preference(["a"] * 12 + ["b"] * 12)

    assert found.verdict == "a"
    assert found.share == 0.5
    assert found.p == preference(["a"] * 12).p


def test_looking_after_every_vote_finds_a_winner_in_fewer_than_5_percent_of_even_series():
    chance = np.random.default_rng(0)
    winners = sum(
        preference(["a" if vote else "b" for vote in chance.integers(0, 2, 60)]).verdict != "undecided"
        for _ in range(100)
    )

    assert winners <= 0.05 * 100


def test_a_clear_favourite_is_found_and_its_share_is_in_the_interval():
    chance = np.random.default_rng(1)
    found = preference(["a" if vote else "b" for vote in chance.random(200) < 0.75])

    assert found.verdict == "a"
    assert 0.5 < found.low < 0.75 < found.high < 0.9
