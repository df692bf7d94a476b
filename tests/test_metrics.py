"""Scores of answers against hand-computed values, and intervals that mean what they say."""

import pytest

from backend.metrics.answers import box_iou, exact_match, scores_of, similarity
from backend.metrics.intervals import mean_interval, paired_interval


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [
        ("RD-17", " rd-17. ", 1.0),
        ("三个。", "三个", 1.0),
        ("two  cups", "two cups", 1.0),
        ("2", "3", 0.0),
        ("", "x", 0.0),
    ],
)
def test_exact_match_forgives_case_space_and_a_full_stop(gold, given, score):
    assert exact_match(gold, given) == score


def test_similarity_is_one_minus_edits_over_the_longer_length():
    assert similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert similarity("same", "same") == 1
    assert similarity("a", "") == 0


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [
        ("[0, 0, 10, 10]", "[0, 0, 10, 10]", 1.0),
        ("[0, 0, 10, 10]", "[5, 0, 15, 10]", 50 / 150),
        ("[0, 0, 10, 10]", "[20, 20, 30, 30]", 0.0),
        ("[0, 0, 10, 10]", "no box", 0.0),
        ("[0, 0, 10, 10]", "[10, 10, 0, 0]", 0.0),
        ("[3, 3, 3, 3]", "[3, 3, 3, 3]", 0.0),
        ("red", "[0, 0, 1, 1]", None),
    ],
)
def test_box_iou_is_shared_over_joint_area(gold, given, score):
    assert box_iou(gold, given) == (None if score is None else pytest.approx(score))


def test_only_metrics_that_apply_are_scored():
    assert set(scores_of("red", "red")) == {"exact_match", "similarity"}
    assert set(scores_of("[0, 0, 1, 1]", "x")) == {"exact_match", "similarity", "box_iou"}


def test_an_interval_holds_its_mean_and_narrows_with_rows():
    few, many = mean_interval([0.0, 1.0] * 10), mean_interval([0.0, 1.0] * 500)

    assert few.value == many.value == 0.5
    assert few.low < 0.5 < few.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert mean_interval([0.0, 1.0] * 10) == few
    half_width = 1.96 * 0.5 / 1000**0.5  # of the normal approximation
    assert many.high - many.value == pytest.approx(half_width, rel=0.1)


def test_a_gain_on_the_same_rows_is_surer_than_two_means():
    before = [0.0] * 50 + [1.0] * 50
    after = [1.0] * 10 + [0.0] * 40 + [1.0] * 50

    gain = paired_interval(before, after)

    assert gain.value == pytest.approx(0.1)
    assert gain.is_above_zero
    assert not paired_interval(before, before).is_above_zero
    with pytest.raises(ValueError, match=r"zip\(\)"):
        paired_interval([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="nothing"):
        mean_interval([])
