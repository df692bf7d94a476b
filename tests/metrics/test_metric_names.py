"""The light names agree with the metrics, and bring none of their libraries along."""

import subprocess
import sys
from typing import get_args

import pytest

from backend.metrics.library import METRICS
from backend.metrics.names import FACTS, MetricName, notice

LIGHT = ("names", "exact_match", "confidence", "significance", "preference", "suggestions")
HEAVY = ("torch", "sacrebleu", "nltk", "scipy", "pandas")


def test_names_facts_and_metrics_agree():
    assert list(get_args(MetricName)) == list(FACTS) == list(METRICS)
    assert {name: (facts.is_share, facts.is_lower_better) for name, facts in FACTS.items()} == {
        name: (metric.is_share, metric.is_lower_better) for name, metric in METRICS.items()
    }
    assert [metric.name for metric in METRICS.values()] == list(METRICS)


@pytest.mark.parametrize(("modules", "heavy"), [(LIGHT, ()), (("library",), ("sacrebleu",))])
def test_the_web_process_loads_no_library_of_a_metric(modules, heavy):
    code = f"import sys; import {', '.join(f'backend.metrics.{name}' for name in modules)}; print(*sys.modules)"

    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )

    assert loaded & set(HEAVY) == set(heavy)


def test_a_notice_says_where_a_number_means_little():
    assert "19 rows are too few" in (notice("cider", 19, 5) or "")
    assert "several captions" in (notice("cider", 500, 1) or "")
    assert notice("cider", 20, 2) is None
    assert "four accepted answers" in (notice("vqa_accuracy", 100, 1) or "")
    assert notice("exact_match", 1, 1) is None
