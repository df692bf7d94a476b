"""Our metrics against reference implementations, on the cases of `tests/scripts/metric_tables.py`.

Every deviation is one of DEVIATIONS: what sets its cases apart, and why ours differs. Elsewhere the
values are the same to 1e-9.
"""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from backend.metrics.edit_distance import ANLS
from backend.metrics.library import METRICS
from backend.metrics.metric import MetricInput, has_wide, plain
from backend.metrics.relaxed_accuracy import number_of
from tests.scripts.metric_cases import CASES, MAKERS, cases_of
from tests.scripts.metric_tables import GROUPS, TABLES

METRIC_OF = {"anls_package": "anls"}  # other tables bear the name of their metric


class Deviation(NamedTuple):
    """Cases on which ours may differ from a reference."""

    why: str
    is_meant: Callable[[MetricInput, float], bool]  # the row, and the reference's value


def is_wide(row: MetricInput, reference: float) -> bool:
    return has_wide("".join([row.prediction, *row.golds]))


def is_spaced(row: MetricInput, reference: float) -> bool:
    return any(" ".join(text.split()) != text for text in (*row.golds, row.prediction))


def is_plainly_the_same(row: MetricInput, reference: float) -> bool:
    return reference == 0 and plain(row.gold) == plain(row.prediction)


def is_read_more(row: MetricInput, reference: float) -> bool:
    """Both are numbers to us, and one of them is written so that lmms-eval reads it as text or otherwise."""
    wanted, found = number_of(row.gold), number_of(row.prediction)
    if wanted is None or found is None:
        return False
    is_odd = any("," in text or text.endswith(".") for text in (row.gold, row.prediction))
    return is_odd or wanted.is_percent != found.is_percent or wanted.written == 0


def is_at_the_edge(row: MetricInput, reference: float) -> bool:
    wanted, found = number_of(row.gold), number_of(row.prediction)
    if wanted is None or found is None:
        return False
    beyond = abs(found.share - wanted.share) - 0.05 * abs(wanted.share)
    return reference == 0 and abs(beyond) < 1e-9 * abs(wanted.share)


DEVIATIONS: Mapping[str, tuple[Deviation, ...]] = {
    "vqa_accuracy": (
        Deviation(
            "VLMEvalKit leaves one of fewer than four answers out and cannot reach 1; ours then asks for equality",
            lambda row, reference: len(row.golds) < 4 and reference < 1,
        ),
    ),
    "anls_package": (
        Deviation(
            "The package drops a similarity of exactly one half, as the paper does; DocVQA's evaluation and both kits "
            "keep it",
            lambda row, reference: reference == 0 and ANLS.of([row]) == 0.5,
        ),
    ),
    "relaxed_accuracy": (
        Deviation(
            "Thousands separators, a full stop, a percent sign on one side and a gold 0 are read as in numbers",
            is_read_more,
        ),
        Deviation("A number exactly 5 % away is near enough, in spite of floats", is_at_the_edge),
        Deviation("Other answers are compared as in exact_match, without outer spaces", is_plainly_the_same),
    ),
    "cer": (Deviation("jiwer keeps repeated spaces, which nobody sees in an image", is_spaced),),
    "wer": (Deviation("An ideograph is a word to us; jiwer splits at spaces only", is_wide),),
    "rouge_l": (Deviation("rouge-score drops all but ASCII, so Chinese texts score 0", is_wide),),
}


def table(name: str) -> list[tuple[MetricInput, float]]:
    lines = (TABLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    listed = [(golds if isinstance(golds, list) else [golds], given, value) for golds, given, value in entries]
    return [(MetricInput(golds[0], given, tuple(golds[1:])), value) for golds, given, value in listed]


def our_values(name: str, rows: list[MetricInput]) -> list[float | None]:
    """One value per row, as the reference gives them: a corpus' own for each of its rows, but CIDEr's per row."""
    metric, size = METRICS[METRIC_OF.get(name, name)], GROUPS.get(name, 1)
    groups = [rows[at : at + size] for at in range(0, len(rows), size)]
    if name == "cider":
        return [score for group in groups for score in metric.rows(group)]
    return [metric.of(group) for group in groups for _ in group]


@pytest.mark.parametrize("name", MAKERS)
def test_values_are_those_of_the_reference_but_for_what_is_argued(name):
    rows = table(name)
    ours = our_values(name, [row for row, _ in rows])
    differing = [
        (row, value, own) for (row, value), own in zip(rows, ours, strict=True)
        if own is None or abs(own - value) > 1e-9
    ]  # fmt: skip
    deviations = DEVIATIONS.get(name, ())

    assert len(rows) == CASES
    assert [case for case in differing if not any(one.is_meant(case[0], case[1]) for one in deviations)] == []
    assert all(any(one.is_meant(row, value) for row, value, _ in differing) for one in deviations)
    assert len(differing) < 0.3 * CASES
    assert len({value for _, value in rows}) > 1


@pytest.mark.parametrize("name", MAKERS)
def test_a_table_holds_the_generated_cases(name):
    assert [(list(row.golds), row.prediction) for row, _ in table(name)] == [tuple(case) for case in cases_of(name)]


def test_there_is_a_table_for_each_reference_and_together_they_stay_small():
    files = sorted(TABLES.iterdir())

    assert [file.stem for file in files] == sorted(MAKERS)
    assert sum(file.stat().st_size for file in files) < 1_000_000
