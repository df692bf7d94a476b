"""Metrics proposed for datasets of all kinds."""

import pytest

from backend.metrics.library import METRICS, proposed_metrics

CAPTION = "A red cup stands on a wooden table beside a book"


@pytest.mark.parametrize(
    ("golds", "names"),
    [
        (["[1, 2, 3, 4]", '{"bbox_2d": [1, 2, 3, 4]}'], ("box_iou", "box_accuracy_50")),
        (["A", "B", "(C)", "D. a cat"], ("multiple_choice",)),
        (["yes", "No", "是", "没有"], ("yes_no", "yes_no_f1")),
        (["1,000", "5 %", "-3", "0.5", "two"], ("relaxed_accuracy", "exact_match")),
        (['{"total": 3}'], ("json_field_f1",)),
        ([CAPTION], ("rouge_l", "bleu")),
        (["图中有一个红色的杯子放在木头桌子上"], ("rouge_l", "bleu")),
        (["RECEIPT No 17\n2 cups of tea 3.50\nTotal due 7.00"], ("cer", "wer")),
        ([r"\frac{a}{b} + \sum_{i} x_i + y_i - z = 0 + c + d"], ("cer", "wer")),
        (["red", "RD-17"], ("exact_match", "anls")),
        ([], ("exact_match", "anls")),
    ],
)
def test_a_dataset_of_one_kind_gets_what_suits_it(golds, names):
    assert proposed_metrics(golds) == names


def test_further_answers_bring_metrics_that_use_them():
    assert proposed_metrics(["red", "blue"], references=True) == ("vqa_accuracy", "exact_match", "anls")
    assert proposed_metrics([CAPTION] * 20, references=True) == ("rouge_l", "bleu", "cider")
    assert "cider" not in proposed_metrics([CAPTION] * 19, references=True)
    assert "cider" not in proposed_metrics([CAPTION] * 20)


def test_a_mixed_dataset_gets_exact_match_and_what_suits_a_fifth_of_its_rows():
    golds = ["yes"] * 5 + ["[1, 2, 3, 4]"] * 4 + ["B"]

    assert proposed_metrics(golds) == ("exact_match", "yes_no", "yes_no_f1", "box_iou", "box_accuracy_50")


def test_every_metric_but_similarity_is_proposed_for_some_kind():
    assert [name for name, metric in METRICS.items() if not metric.suits] == ["similarity"]
