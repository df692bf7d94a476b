"""Boxes and JSON objects against hand-computed scores."""

import pytest

from backend.metrics.boxes import BOX_ACCURACY_50, BOX_IOU, box_accuracy_50, box_iou, boxes_of
from backend.metrics.json_fields import JSON_FIELD_F1, fields_of, gold_object, object_of
from backend.metrics.metric import MetricInput


@pytest.mark.parametrize(
    ("gold", "given", "score"),
    [
        ("[0, 0, 10, 10]", "[0, 0, 10, 10]", 1.0),
        ("[0, 0, 10, 10]", "[5, 0, 15, 10]", 50 / 150),
        ("[0, 0, 10, 10]", "[20, 20, 30, 30]", 0.0),
        ("[0, 0, 10, 10]", "no box", 0.0),
        ("[0, 0, 10, 10]", "[10, 10, 0, 0]", 0.0),
        ("[3, 3, 3, 3]", "[3, 3, 3, 3]", 0.0),
        ("[0, 0, 1e308, 1e308]", "[0, 0, 1e308, 1e308]", 0.0),
        ("[0, 0, 10, 10]", "[0, 0, NaN, 10]", 0.0),
        ("[0, 0, 10, 10]", '{"bbox_2d": [0, 0, 10, 5], "label": "cup"}', 0.5),
        ('{"bbox_2d": [0, 0, 10, 10]}', '```json\n[{"bbox_2d": [0, 0, 10, 10]}]\n```', 1.0),
        ("red", "[0, 0, 1, 1]", None),
        ("[]", "[0, 0, 1, 1]", None),
        ("[1, 2, 3]", "[0, 0, 1, 1]", None),
    ],
)
def test_box_iou_is_shared_over_joint_area(gold, given, score):
    assert box_iou(gold, given) == (None if score is None else pytest.approx(score))


def test_several_boxes_are_paired_best_first_and_more_than_asked_do_not_pay():
    gold = "[[0, 0, 10, 10], [20, 0, 30, 10]]"

    assert box_iou(gold, "[[20, 0, 30, 10], [0, 0, 10, 5]]") == pytest.approx((1 + 0.5) / 2)
    assert box_iou(gold, "[0, 0, 10, 10]") == pytest.approx(1 / 2)
    assert box_iou("[0, 0, 10, 10]", "[[0, 0, 10, 10], [0, 0, 9, 9], [0, 0, 8, 8], [5, 5, 7, 7]]") == 1 / 4
    assert box_accuracy_50(gold, "[[20, 0, 30, 10], [0, 0, 10, 4.9]]") == 1 / 2
    assert boxes_of("[[0, 0, 1, 1], [2, 2]]") == []


@pytest.mark.parametrize(("height", "score"), [(5, 1.0), (4.99, 0.0)])
def test_a_hit_shares_half_or_more(height, score):
    assert box_accuracy_50("[0, 0, 10, 10]", f"[0, 0, 10, {height}]") == score


def test_boxes_as_metrics_know_references_and_what_is_unread():
    rows = [MetricInput("[0, 0, 10, 10]", "[20, 0, 30, 10]", ("[20, 0, 30, 10]",)), MetricInput("[0, 0, 1, 1]", "left")]

    assert BOX_IOU.rows(rows) == BOX_ACCURACY_50.rows(rows) == [1.0, 0.0]
    assert [BOX_IOU.is_unread(row) for row in rows] == [False, True]


def test_fields_are_counted_over_all_rows():
    rows = [
        MetricInput(
            '{"total": 12.5, "paid": true, "shop": "Café  Uno"}',
            'Here: {"total": 12.50, "shop": "café uno", "x": 1}',
        ),
        MetricInput('{"items": [{"name": "tea"}, {"name": "milk"}]}', '{"items": [{"name": "milk"}, {"name": "tea"}]}'),
        MetricInput('{"total": 3}', "three"),
        MetricInput("no object", '{"total": 3}'),
    ]  # fmt: skip

    assert JSON_FIELD_F1.rows(rows) == [pytest.approx(4 / 6), 1.0, 0.0, None]
    assert JSON_FIELD_F1.of(rows) == pytest.approx(2 * 4 / (6 + 5))
    assert [JSON_FIELD_F1.is_unread(row) for row in rows] == [False, False, True, False]


def test_types_and_paths_are_told_apart_and_places_in_lists_are_not():
    assert fields_of({"a": {"b": 1}}) != fields_of({"a": 1, "b": 1})
    assert fields_of({"a": 1}) != fields_of({"a": True})
    assert fields_of({"a": 1}) != fields_of({"a": "1"})
    assert fields_of({"a": 1}) == fields_of({"a": 1.0})
    assert fields_of({"a": [1, 2]}) == fields_of({"a": [2, 1]}) != fields_of({"a": [2, 2]})
    assert fields_of({"a": {}}).total() == 1


@pytest.mark.parametrize("text", ["{}", "[1]", '{"a": NaN}', '{"a": 1} {"b": 2}', '{"a":' * 5000, "", 'x {"a": 1}'])
def test_what_is_not_one_object_is_no_gold_object(text):
    assert gold_object(text) is None


def test_an_answer_that_nests_deeply_is_counted_or_unread_but_does_no_harm():
    text = '{"a":' * 900 + "1" + "}" * 900

    assert object_of(text) is None or fields_of(object_of(text) or {}).total() == 1
