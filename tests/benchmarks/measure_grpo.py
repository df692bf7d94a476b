"""Learn from a ready reward on the demo data, with two seeds: its curve, and validation answers before and after.

    python -m tests.benchmarks.measure_grpo [--short] [--write]

`--write` puts table and curves into the README.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

from backend.metrics.bootstrap import paired_interval
from backend.runs.events import read_all
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from tests.benchmarks.scoring import score
from tests.scripts.readme import machine, write_section
from tests.serving import add_demo

SEEDS = (42, 7)
DATASET = "night-shapes"
PARTS = 10  # of the curve
BLOCKS = "▁▂▃▄▅▆▇█"


def main() -> None:
    """Measure, print, and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one seed, few steps, few rows")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        seeds = SEEDS[:1] if args.short else SEEDS
        rows = [measure(seed, Workspace(Path(folder)), short=args.short) for seed in seeds]
    head = "| seed | mean reward, first and last tenth | curve, by tenths | validation exact match, before | after |"
    text = "\n".join([f"{head} gain, 95 % interval | steps | seconds |", "|---|---|---|---|---|---|---|---|", *rows])
    text += (
        f"\n\nRecipe `grpo` with the reward `exact_match` on `{DATASET}`: adapters on the language model, 16 questions "
        "a step, 8 answers each; gain in percentage points over all validation rows, row by row, with its bootstrap "
        f"interval; seconds from the command to the final model. `python -m tests.benchmarks.measure_grpo --write` on "
        f"{machine()}."
    )
    print(text)
    if args.write:
        write_section("measured:grpo", text)


def measure(seed: int, workspace: Workspace, *, short: bool) -> str:
    """Train once as a person would; one line of the table."""
    if short:
        add_demo(workspace, workspace.root / "rows", (DATASET,))
    extra = ["--set", "optimiser.max_steps=3", "--set", "batching.batch_size=16"] if short else []
    argv = [sys.executable, "-m", "studio.cli", "train", "grpo", "--reward", "exact_match", "--dataset", DATASET,
            "--set", f"data.seed={seed}", *extra, "--json"]  # fmt: skip
    begun = time.monotonic()
    environment = os.environ | {"STUDIO_WORKSPACE": str(workspace.root)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(f"seed {seed} failed: {done.stderr}{done.stdout}")
    run = json.loads(done.stdout)
    rewards = [
        event.values["reward"] for event in read_all(RunFolder(workspace.output / run["run_id"]).events)
        if event.kind == "metric" and event.values.get("reward") is not None
    ]  # fmt: skip
    borders = [(at * len(rewards) // PARTS, (at + 1) * len(rewards) // PARTS) for at in range(PARTS)]
    tenths = [fmean(rewards[first : max(first + 1, last)]) for first, last in borders]
    before, after = (
        score(reference, DATASET, workspace, 8 if short else 1000) for reference in ("demo", run["run_id"])
    )
    gain = paired_interval(before.hits, after.hits)
    points = [round(100 * share) for share in (gain.value, gain.low, gain.high)]
    curve = "".join(BLOCKS[round(share * (len(BLOCKS) - 1))] for share in tenths)
    return (
        f"| {seed} | {tenths[0]:.2f} → {tenths[-1]:.2f} | {curve} | {before.share:.0%} | {after.share:.0%} | "
        f"{points[0]:+d} [{points[1]:+d}, {points[2]:+d}] | {run['step']} | {seconds:.0f} |"
    )


if __name__ == "__main__":
    main()
