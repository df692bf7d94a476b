"""Intervals that mean what they say, for means and for what is no mean."""

import numpy as np
import pytest

from backend.metrics.bootstrap import intervals, mean_interval, paired_interval, resampled, rows_met
from backend.metrics.choices import YES_NO, YES_NO_F1
from backend.metrics.metric import MetricInput, averaged

MEAN = averaged("mean", lambda row: None)


def pairs(scores):
    return np.array([(score, 1.0) for score in scores])


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


def test_one_drawing_serves_all_metrics():
    scores = [0.0, 1.0, 1.0, 0.5] * 8
    other = np.zeros((32, 2))
    other[::2] = 1

    alone = mean_interval(scores)
    first, second, third = intervals([(MEAN, pairs(scores)), (MEAN, other), (MEAN, np.zeros((32, 2)))])

    assert first == pytest.approx(alone)
    assert (second.value, second.low, second.high, second.n) == (1, pytest.approx(0.025 ** (1 / 16)), 1, 16)
    assert third is None


def test_an_f1_is_resampled_over_rows_not_averaged():
    rows = [MetricInput("yes", "yes"), MetricInput("yes", "no"), MetricInput("no", "no"), MetricInput("no", "yes")] * 25

    f1, accuracy = intervals([(metric, metric.statistics(rows)) for metric in (YES_NO_F1, YES_NO)])

    assert f1.value == accuracy.value == 0.5
    assert f1.high - f1.low == pytest.approx(0.23, abs=0.03)
    assert f1.n == 100


def test_the_mean_of_resamples_is_that_of_the_rows_and_their_spread_is_known():
    scores = np.arange(200.0)

    (sums,) = resampled([pairs(scores)])
    means = sums[:, 0] / sums[:, 1]

    assert sums.shape == (10_000, 2)
    assert (sums[:, 1] == 200).all()
    assert means.mean() == pytest.approx(scores.mean(), rel=0.01)
    assert means.std() == pytest.approx(scores.std() / 200**0.5, rel=0.03)


def test_no_rows_and_unequal_tables():
    assert intervals([]) == []
    assert intervals([(MEAN, np.zeros((0, 2)))]) == [None]
    assert rows_met(np.zeros((3, 2)), np.eye(3, 2)) == 2
    with pytest.raises(ValueError, match="same rows"):
        intervals([(MEAN, pairs([1.0])), (MEAN, pairs([1.0, 0.0]))])
