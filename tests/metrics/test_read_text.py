"""Read text against published and hand-computed numbers of edits."""

import pytest

from backend.metrics.edit_distance import ANLS, CER, WER, anls
from backend.metrics.metric import MetricInput


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [
        ("coca cola", "Coca Cola", 1.0),
        ("rocketdyne", "rocketdine", 0.9),
        ("kitten", "sitting", 1 - 3 / 7),
        ("abcd", "abxy", 0.5),  # exactly one half is kept, as by DocVQA's evaluation
        ("abc", "axy", 0.0),
        (" a  b ", "A\nb", 1.0),
        ("", "", 1.0),
        ("", "a", 0.0),
    ],
)
def test_anls_is_similarity_from_one_half_up(gold, given, score):
    assert anls(gold, given) == pytest.approx(score)


def test_anls_takes_the_best_accepted_answer():
    assert ANLS.of([MetricInput("nothing like it", "kitten", ("sitting", "kitten"))]) == 1.0


def test_error_rates_are_edits_over_length_of_all_rows_together():
    rows = [MetricInput("kitten", "sitting"), MetricInput("ab", "ab"), MetricInput("", "x")]

    assert CER.of(rows) == pytest.approx((3 + 0 + 1) / (6 + 2))
    assert CER.rows(rows) == [pytest.approx(0.5), 0.0, None]
    assert CER.of([MetricInput("a", "abc")]) == 2.0  # may pass 1
    assert CER.of([MetricInput("", "")]) is None


def test_words_are_split_at_spaces_and_ideographs_are_words():
    assert WER.of([MetricInput("the cat sat", "the bat sat down")]) == pytest.approx(2 / 3)
    assert WER.of([MetricInput("今天 open", "今日 open")]) == pytest.approx(1 / 3)
    assert WER.of([MetricInput("The cat.", "the cat")]) == 1.0


def test_unicode_forms_and_kinds_of_space_are_no_edits():
    assert CER.of([MetricInput("caf\u00e9  au\nlait", "cafe\u0301 au lait")]) == 0.0


def test_the_accepted_text_with_the_smallest_share_of_edits_counts():
    assert CER.of([MetricInput("abcd", "ab", ("ax", ""))]) == 0.5
