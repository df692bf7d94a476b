"""Comparisons of two models: the test, its interval, and the sentence."""

from functools import partial

import numpy as np
import pytest

from backend.metrics.bootstrap import Interval, paired_interval
from backend.metrics.captions import BLEU
from backend.metrics.edit_distance import CER
from backend.metrics.metric import MetricInput, averaged
from backend.metrics.significance import Comparison, all_compared, compared, describe_comparison, holm, verdict_of

MEAN = averaged("mean", lambda row: None)


def pairs(scores):
    return np.array([(score, 1.0) for score in scores])


def test_few_rows_are_tested_exactly():
    comparison = compared(MEAN, pairs([0.0] * 5 + [1.0] * 7), pairs([1.0] * 12))

    assert comparison.difference.value == pytest.approx(5 / 12)
    assert comparison.p == 2 / 2**5  # all five up, or all five down
    assert compared(MEAN, pairs([0.0, 1.0]), pairs([1.0, 0.0])).p == 1.0
    assert compared(MEAN, pairs([1.0]), pairs([1.0])) == Comparison(Interval(0.0, 0.0, 0.0, 1), 1.0)


def test_many_rows_are_tested_by_chance_and_agree_with_the_sign_test():
    before = pairs([0.0] * 15 + [1.0] * 5 + [1.0] * 80)
    after = pairs([1.0] * 15 + [0.0] * 5 + [1.0] * 80)

    comparison = compared(MEAN, before, after)

    assert comparison.p == pytest.approx(0.0414, abs=0.006)  # McNemar's exact: 2 * P(X >= 15 of 20)
    assert comparison.difference == pytest.approx(paired_interval(before[:, 0], after[:, 0]))


def test_several_metrics_are_compared_as_each_alone():
    chance = np.random.default_rng(5)
    few = (MEAN, pairs([0.0] * 5 + [1.0] * 45), pairs([1.0] * 50))
    many = (MEAN, pairs(chance.random(50)), pairs(chance.random(50)))
    none = (MEAN, np.zeros((50, 2)), np.zeros((50, 2)))

    together = all_compared([few, many, none, many])

    assert together == [compared(*few), compared(*many), None, compared(*many)]
    assert together[1].p > 1 / 10_001
    assert all_compared([]) == []


def test_alike_models_are_rarely_called_different():
    chance = np.random.default_rng(3)
    ps = [compared(MEAN, *(pairs(chance.integers(0, 2, 40).astype(float)) for _ in "ab")).p for _ in range(40)]

    assert sum(p < 0.05 for p in ps) <= 6
    assert 0.3 < float(np.mean(ps)) < 0.75


def test_rates_and_corpus_scores_are_compared_through_their_sums():
    words = ("red", "blue", "green", "black", "white", "pink", "grey", "gold")
    golds = [f"the {word} cup stands on the wooden table" for word in words]
    bad = [gold.replace("stands on the", "is at a") for gold in golds]
    rows_of = partial(map, MetricInput, golds)

    bleu = compared(BLEU, BLEU.statistics(list(rows_of(bad))), BLEU.statistics(list(rows_of(golds))))
    cer = compared(CER, CER.statistics(list(rows_of(bad))), CER.statistics(list(rows_of(golds))))

    assert bleu.p == cer.p == 2 / 2**8
    assert verdict_of(bleu, is_lower_better=False, adjusted_p=bleu.p) == "better"
    assert verdict_of(cer, is_lower_better=True, adjusted_p=cer.p) == "better"
    assert cer.difference.high < 0


def test_where_nothing_applies_there_is_no_comparison_and_tables_must_fit():
    assert compared(MEAN, np.zeros((3, 2)), np.zeros((3, 2))) is None
    with pytest.raises(ValueError, match="same rows"):
        compared(MEAN, pairs([1.0]), pairs([1.0, 0.0]))


def test_holm_is_the_published_step_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_verdict_needs_both_the_p_and_the_interval():
    above, across = Comparison(Interval(0.1, 0.02, 0.2, 64), 0.01), Comparison(Interval(0.1, -0.01, 0.2, 64), 0.01)

    assert verdict_of(above, is_lower_better=False, adjusted_p=0.01) == "better"
    assert verdict_of(above, is_lower_better=True, adjusted_p=0.01) == "worse"
    assert verdict_of(above, is_lower_better=False, adjusted_p=0.05) == "undecided"
    assert verdict_of(across, is_lower_better=False, adjusted_p=0.01) == "undecided"


def test_sentences_need_no_knowledge_of_statistics():
    better = Comparison(Interval(0.12, 0.041, 0.198, 64), 0.0005)
    unsure = Comparison(Interval(0.01, -0.03, 0.051, 64), 0.4)
    fewer_errors = Comparison(Interval(-0.12, -0.198, -0.041, 1064), 0.02)
    caption = Comparison(Interval(-0.5, -0.75, -0.25, 64), 0.004)

    assert describe_comparison(better, "better", 0.0005) == (
        "B is better by 12.0 points (95 % interval 4.1 to 19.8, n = 64); "
        "chance alone gives such a difference in fewer than 1 of 1,000 tries"
    )
    assert describe_comparison(unsure, "undecided", 0.4) == (
        "64 rows cannot tell them apart: the difference lies between −3.0 and +5.1 points"
    )
    assert describe_comparison(fewer_errors, "better", 0.02, second="Run 7").startswith(
        "Run 7 is better by 12.0 points (95 % interval 4.1 to 19.8, n = 1,064)"
    )
    assert describe_comparison(caption, "worse", 0.004, is_share=False) == (
        "B is worse by 0.50 (95 % interval 0.25 to 0.75, n = 64); "
        "chance alone gives such a difference in about 1 of 250 tries"
    )
    assert describe_comparison(better, "undecided", 0.1) == (
        "64 rows cannot tell them apart for sure: the difference seems to lie between +4.1 and +19.8 points, "
        "but chance alone gives such a one in about 1 of 10 tries"
    )
