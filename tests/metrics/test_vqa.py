"""VQA accuracy: its leave-one-out, its trap, and the challenge's normal form."""

import pytest

from backend.metrics.metric import MetricInput
from backend.metrics.vqa_accuracy import CONTRACTIONS, VQA_ACCURACY, vqa_plain


@pytest.mark.parametrize(("people", "score"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)])
def test_ten_people_give_the_published_scores(people, score):
    answers = ["cat"] * people + [f"dog {place}" for place in range(10 - people)]

    assert VQA_ACCURACY.of([MetricInput(answers[0], "cat", tuple(answers[1:]))]) == pytest.approx(score)


@pytest.mark.parametrize("references", [(), ("cat",), ("cat", "kitten")])
def test_with_fewer_than_four_answers_any_of_them_is_right(references):
    assert VQA_ACCURACY.of([MetricInput("The cat.", "cat", references)]) == 1.0
    assert VQA_ACCURACY.of([MetricInput("The cat.", "dog", references)]) == 0.0


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("The Two cats!", "2 cats"),
        ("An apple, a pear", "apple pear"),
        ("none", "0"),
        ("dont know", "don't know"),
        ("yall'd've", "y'all'd've"),
        ("somebody'd", "somebodyd"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("1,000", "1000"),
        ("2.5 m.", "2.5 m"),
        (" red\nhat ", "red hat"),
        ("eleven", "eleven"),
        ("三个。", "三个"),
        ("", ""),
    ],
)
def test_the_normal_form_is_that_of_the_challenge(text, form):
    assert vqa_plain(text) == form


def test_contractions_are_as_many_as_the_challenge_has_without_capitals_and_no_ops():
    assert len(CONTRACTIONS) == 114
    assert CONTRACTIONS["couldnt've"] == CONTRACTIONS["couldn'tve"] == "couldn't've"
    assert "im" not in CONTRACTIONS
