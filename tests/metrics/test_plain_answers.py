"""Whole answers against hand-computed scores, and the scores that a training run shows."""

import pytest

from backend.metrics.exact_match import EXACT_MATCH, SIMILARITY, exact_match, scores_of, similarity
from backend.metrics.metric import MetricInput


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


def test_the_best_accepted_answer_counts():
    row = MetricInput("cup", "mug", references=("Mug.", "glass"))

    assert EXACT_MATCH.rows([row]) == [1.0]
    assert SIMILARITY.rows([row, MetricInput("ab", "ac")]) == [1.0, 0.5]
    assert EXACT_MATCH.of([row, MetricInput("cup", "mug")]) == 0.5


def test_only_metrics_that_apply_are_scored():
    assert scores_of(["red"], "red") == {"exact_match": 1.0, "similarity": 1.0}
    assert scores_of(["[0, 0, 10, 10]"], "[5, 0, 15, 10]") == {
        "exact_match": 0.0,
        "similarity": pytest.approx(12 / 14),
        "box_iou": pytest.approx(50 / 150),
    }
    assert scores_of(["cup", "[0, 0, 10, 10]", "mug"], "mug") == {
        "exact_match": 1.0,
        "similarity": 1.0,
        "box_iou": 0.0,
    }


def test_over_no_rows_there_is_no_value():
    assert EXACT_MATCH.of([]) is None
    assert EXACT_MATCH.rows([]) == []
