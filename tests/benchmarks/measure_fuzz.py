"""Try the inputs of `tests/fuzz` in their thousands, and state how many and what came of it.

`python -m tests.benchmarks.measure_fuzz [--examples 5000] [--short] [--write]`; `--write` writes it into the README.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from typing import NamedTuple

from backend.settings import ROOT
from tests.scripts.readme import machine, write_section

WHAT = {
    "archives": "zips: any names, sizes and flags; sound ones with damage",
    "rows": "JSON, JSON lines, CSV and TSV near the known layouts, in seven encodings",
    "events": "`events.jsonl` into the index, in one piece and in several",
    "specs": "YAML, JSON and `--set`",
}


class Campaign(NamedTuple):
    """One file's tests, all their inputs tried."""

    name: str
    tests: int
    passed: bool
    seconds: float
    output: str


def campaign(name: str, examples: int) -> Campaign:
    """Run one file in a process of its own."""
    argv = [sys.executable, "-m", "pytest", "-n", "0", "-q", "--timeout", "3600", f"tests/fuzz/test_fuzz_{name}.py"]
    began = time.monotonic()
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"STUDIO_FUZZ": str(examples), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    counted = re.search(r"(\d+) passed", done.stdout)
    return Campaign(
        name, int(counted[1]) if counted else 0, done.returncode == 0, time.monotonic() - began, done.stdout
    )


def hypothesis_tests(name: str) -> int:
    """How many tests of a file draw inputs."""
    return (ROOT / "tests" / "fuzz" / f"test_fuzz_{name}.py").read_text().count("\n@fuzz(")


def table(found: list[Campaign], examples: int) -> str:
    """The section of the README."""
    lines = ["| tried | inputs | findings | seconds |", "|---|---|---|---|"]
    for each in found:
        inputs = examples * hypothesis_tests(each.name)
        lines.append(f"| {WHAT[each.name]} | {inputs:,} | {0 if each.passed else 'some'} | {each.seconds:.0f} |")
    return "\n".join(
        [*lines, "", "Each input works and reads back whole, or is refused in words; nothing is left or changed beside "
         f"it. `python -m tests.benchmarks.measure_fuzz --examples {examples} --write` on {machine()}."]
    )  # fmt: skip


def main() -> int:
    """Run all, print the table, and write it where asked and nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=5_000, help="inputs for each test")
    parser.add_argument("--short", action="store_true", help="ten inputs for each test")
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    examples = 10 if wanted.short else wanted.examples
    found = [campaign(name, examples) for name in WHAT]
    print(table(found, examples))
    for each in found:
        if not each.passed:
            print(each.output[-6_000:], file=sys.stderr)
    if not all(each.passed for each in found):
        return 1
    if wanted.write:
        write_section("measured:fuzz", table(found, examples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
