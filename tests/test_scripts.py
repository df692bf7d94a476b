"""The committed scripts run in their short form, so that they are there when the README's figures must be made anew."""

import runpy
import sys

import pytest

from backend.settings import ROOT

pytestmark = pytest.mark.torch

SCRIPTS = ("measure_demo", "measure_eval", "measure_import")
# These go the way of measure_grpo, of tests/road and of test_weight, and cost as much again.
ALIKE = {"measure_recipes", "measure_start", "measure_web"}
# tests/road/test_rewards.py runs measure_grpo for its own sake; metric_tables needs an interpreter with the reference
# packages, and its tables are tested in tests/metrics; the parts of measure_faults are tests/faults', those of
# measure_load are in tests/studio/web/test_open_tabs.py; measure_fuzz runs tests/fuzz with more inputs;
# measure_attack tries more of what tests/studio/attack tries;
# measure_house counts lines and runs nothing; make_demo_model trains lesson after lesson, each the way of tests/road.
ELSEWHERE = {
    "measure_attack",
    "make_demo_model",
    "measure_faults",
    "measure_fuzz",
    "measure_house",
    "measure_grpo",
    "measure_load",
    "metric_cases",
    "metric_tables",
}


@pytest.mark.long
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_in_its_short_form(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--short"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    runpy.run_module(f"tests.benchmarks.{name}", run_name="__main__")  # a process would load torch first

    output = capsys.readouterr().out
    assert "|" in output or "MB" in output


def test_every_script_that_measures_is_run_here():
    present = {path.stem for folder in ("benchmarks", "scripts") for path in (ROOT / "tests" / folder).glob("m*.py")}
    assert present == set(SCRIPTS) | ALIKE | ELSEWHERE
