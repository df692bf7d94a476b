"""What holds for every metric and any text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.metrics.library import METRICS
from backend.metrics.metric import MetricInput

PIECES = st.sampled_from(
    ["[0, 0, 4, 4]", "[1, 1, 4, 5]", "yes", "No.", "没有", "B", "(C)", "5 %", "1,000", "0", '{"a": 1}',
     '{"a": [1, "x"]}', "a cat", "the red cup on the table", "图中有一只狗",
     "nan", "1e999", "", " ", "\n", "é", "[[", "🐈", "NaN", "-"]
)  # fmt: skip
TEXTS = st.one_of(PIECES, st.lists(PIECES, max_size=4).map(" ".join), st.text(max_size=20))
ROWS = st.lists(st.builds(MetricInput, TEXTS, TEXTS, st.lists(TEXTS, max_size=4).map(tuple)), max_size=5)
# Most answers that are their own gold answer score best; these have nothing to compare.
SILENT = {"rouge_l", "bleu", "cider", "yes_no_f1", "box_iou", "box_accuracy_50"}
QUICKLY = settings(max_examples=25, deadline=None)


@pytest.mark.parametrize("name", METRICS)
@QUICKLY
@given(rows=ROWS)
def test_a_share_lies_between_0_and_1_and_a_table_has_a_line_per_row(name, rows):
    metric = METRICS[name]

    table = metric.statistics(rows)
    scores = [score for score in [*metric.rows(rows), metric.of(rows)] if score is not None]

    assert table.shape[0] == len(rows)
    assert np.isfinite(table).all()
    assert all(score >= 0 for score in scores)
    highest = np.inf if metric.is_lower_better else 1 if metric.is_share else 10
    assert all(score <= highest + 1e-9 for score in scores)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"cider"}))
@QUICKLY
@given(first=ROWS, second=ROWS)
def test_rows_do_not_know_one_another(name, first, second):
    metric = METRICS[name]

    together = metric.statistics([*first, *second])

    assert np.array_equal(together, np.concatenate([metric.statistics(first), metric.statistics(second)]))


@pytest.mark.parametrize("name", sorted(set(METRICS) - SILENT))
@QUICKLY
@given(text=TEXTS)
def test_the_gold_answer_scores_best(name, text):
    metric = METRICS[name]

    (score,) = metric.rows([MetricInput(text, text)])

    assert score in (None, 0.0 if metric.is_lower_better else 1.0)


@pytest.mark.parametrize("name", METRICS)
@QUICKLY
@given(rows=ROWS)
def test_where_a_metric_does_not_apply_its_line_is_empty(name, rows):
    metric = METRICS[name]

    for line, score in zip(metric.statistics(rows), metric.rows(rows), strict=True):
        assert line.any() or score is None


@QUICKLY
@given(gold=TEXTS, text=TEXTS)
def test_what_is_unread_is_wrong(gold, text):
    row = MetricInput(gold, text)
    unread = [name for name, metric in METRICS.items() if metric.is_unread and metric.is_unread(row)]

    for name in unread:
        assert METRICS[name].rows([row]) == [0.0]


def test_a_table_over_no_rows_keeps_its_columns():
    for metric in METRICS.values():
        assert metric.statistics([]).shape == (0, metric.statistics([MetricInput("a", "a")]).shape[1])
