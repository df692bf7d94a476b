"""What pages show of metrics stands with them, and listing them brings none of their libraries along."""

import subprocess
import sys

import pytest

from backend.metrics.library import METRICS

LIGHT = "import backend.metrics.library, backend.metrics.significance, backend.metrics.preference"
SCORES = f"{LIGHT}; backend.metrics.library.METRICS['bleu'].of([backend.metrics.metric.MetricInput('a', 'a')])"
HEAVY = ("torch", "sacrebleu", "nltk", "scipy", "pandas")


def test_every_metric_has_its_own_name_label_and_description():
    assert len(METRICS) == 16
    assert [metric.name for metric in METRICS.values()] == list(METRICS)
    assert all(metric.label and metric.description for metric in METRICS.values())
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


@pytest.mark.parametrize(("code", "heavy"), [(LIGHT, ()), (SCORES, ("sacrebleu",))])
def test_the_web_process_loads_no_library_of_a_metric(code, heavy):
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]

    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    assert loaded & set(HEAVY) == set(heavy)


def test_a_notice_says_where_a_number_means_little():
    cider = METRICS["cider"]
    assert "19 rows are too few" in (cider.notice(19, 5) or "")
    assert "several captions" in (cider.notice(500, 1) or "")
    assert cider.notice(20, 2) is None
    assert "four accepted answers" in (METRICS["vqa_accuracy"].notice(100, 1) or "")
    assert METRICS["exact_match"].notice(1, 1) is None
