"""The committed scripts run in their short form, so that they are there when the README's figures must be made anew."""

import os
import subprocess
import sys

import pytest

from backend.settings import ROOT

pytestmark = pytest.mark.torch

SCRIPTS = (
    "make_demo_model", "measure_demo", "measure_grpo",
)  # fmt: skip
# These go the way of measure_grpo, of the road's test of the first step and of test_weight, and cost as much again.
# metric_tables needs an interpreter with the reference packages; its tables are tested in tests/metrics.
ALIKE = {"measure_recipes", "measure_start", "measure_web"}
ELSEWHERE = {"metric_cases", "metric_tables"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_in_its_short_form(name, tmp_path):
    more = ["--to", str(tmp_path / "model")] if name == "make_demo_model" else []
    argv = [sys.executable, "-m", f"tests.scripts.{name}", "--short", *more]

    done = subprocess.run(
        argv, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "|" in done.stdout or "MB" in done.stdout


def test_every_script_that_measures_is_run_here():
    present = {path.stem for path in (ROOT / "tests" / "scripts").glob("m*.py")}
    assert present == set(SCRIPTS) | ALIKE | ELSEWHERE
