"""Answers that must be read before they are compared: numbers, letters, yes and no."""

import pytest

from backend.metrics.choices import (
    MULTIPLE_CHOICE,
    YES_NO,
    YES_NO_F1,
    gold_letter,
    gold_yes,
    predicted_letter,
    predicted_yes,
)
from backend.metrics.metric import MetricInput
from backend.metrics.relaxed_accuracy import RELAXED_ACCURACY, number_of


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [
        ("100", "105", 1.0),
        ("100", "95", 1.0),
        ("100", "105.01", 0.0),
        ("1", "1.05", 1.0),
        ("1", "1.0500001", 0.0),
        ("-3", "3", 0.0),
        ("−3", "-3.1", 1.0),
        ("1,234.5", "1234.5", 1.0),
        ("1,234.5", "12345", 0.0),
        ("5%", "5", 1.0),
        ("5", "5 %", 1.0),
        ("5%", "0.05", 1.0),
        ("0.05", "5％", 1.0),
        ("5%", "50%", 0.0),
        ("0", "0.0", 1.0),
        ("0", "0.001", 0.0),
        ("0%", "0", 1.0),
        ("2e3", "2,000", 1.0),
        ("42", "The answer is 42", 0.0),
        ("Yes", "yes.", 1.0),
        ("nan", "nan", 1.0),
        ("inf", "1e400", 0.0),
        ("1e400", "1e400", 1.0),  # the same text, though no finite number
        ("", "0", 0.0),
    ],
)
def test_relaxed_accuracy_allows_five_percent_of_the_gold_number(gold, given, score):
    assert RELAXED_ACCURACY.of([MetricInput(gold, given)]) == score


def test_the_nearest_accepted_number_counts_and_words_for_a_number_are_unread():
    assert RELAXED_ACCURACY.of([MetricInput("10", "20.5", ("20",))]) == 1.0
    assert RELAXED_ACCURACY.is_unread(MetricInput("10", "ten"))
    assert not RELAXED_ACCURACY.is_unread(MetricInput("10", "3"))
    assert not RELAXED_ACCURACY.is_unread(MetricInput("red", "ten"))
    assert number_of("1,23") is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("B. a cat", "B"),
        ("(C) two cups", "C"),
        ("D：红色", "D"),
        ("A cat", None),
        ("A", "A"),
        ("Z", None),
        ("AB", None),
        ("", None),
        ("B.5", None),
    ],
)
def test_a_gold_letter_stands_alone_or_before_its_option(text, letter):
    assert gold_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        (" (b). ", "B"),
        ("**C**", "C"),
        ("B. a cat", "B"),
        ("(D) the last", "D"),
        ("The answer is B.", "B"),
        ("A is too small, so the answer is (C)", "C"),
        ("The answer is A. No, wait: the answer is D.", "D"),
        ("Option A is wrong, so option B", "B"),
        ("The answer is B, not option C", "B"),
        (r"Thus \boxed{C}", "C"),
        (r"Thus \boxed{\text{C}}", "C"),
        ("答案是B", "B"),
        ("我选C", "C"),
        ("It must be (A) or (B)", "B"),
        ("A cat sits on D", "D"),
        ("I see a cat", None),
        ("A cat", None),
        ("a cat", None),
        ("", None),
    ],
)
def test_the_last_letter_of_the_surest_form_is_read(text, letter):
    assert predicted_letter(text) == letter


def test_multiple_choice_applies_where_the_gold_answer_is_a_letter():
    rows = [
        MetricInput("B", "B) it is"),
        MetricInput("B. a cat", "C"),
        MetricInput("a cat", "B"),
        MetricInput("A", "unclear"),
    ]

    assert MULTIPLE_CHOICE.rows(rows) == [1.0, 0.0, None, 0.0]
    assert MULTIPLE_CHOICE.of(rows) == pytest.approx(1 / 3)
    assert [MULTIPLE_CHOICE.is_unread(row) for row in rows] == [False, False, False, True]


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Yes", True), ("no.", False), ("是", True), ("否", False), ("不是", False), ("有", True), ("没有。", False),
        ("对", True), ("不对", False), ("maybe", None), ("yes it is", None), ("", None),
    ],
)  # fmt: skip
def test_a_gold_yes_or_no_is_that_word_alone(text, yes):
    assert gold_yes(text) is yes


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Yes, there is no doubt", True),
        ("No, there is a dog", False),
        ("There is no dog in the picture. Yes.", False),
        ("There is a dog.", True),
        ("The cup isn’t red", False),
        ("Not sure", None),
        ("Nothing", None),
        ("是的，有一只狗", True),
        ("不是", False),
        ("没有狗", False),
        ("图中没有狗", False),
        ("图中有一只狗", True),
        ("不确定", None),
        ("是否有狗？没有", False),
        ("north", None),
        ("", None),
    ],
)
def test_an_answer_says_yes_or_no_or_neither(text, yes):
    assert predicted_yes(text) is yes


def test_f1_of_yes_is_popes_and_undefined_without_any_yes():
    rows = [
        MetricInput("yes", "yes"), MetricInput("yes", "Yes."), MetricInput("yes", "no"), MetricInput("no", "yes"),
        MetricInput("no", "no"), MetricInput("no", "who knows"), MetricInput("red", "yes"),
    ]  # fmt: skip

    assert YES_NO.of(rows) == pytest.approx(3 / 6)
    assert YES_NO_F1.of(rows) == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert YES_NO_F1.rows(rows) == YES_NO.rows(rows) == [1, 1, 0, 0, 1, 0, None]
    assert YES_NO_F1.of([MetricInput("no", "no")]) is None
    assert [YES_NO.is_unread(row) for row in rows[-2:]] == [True, False]
