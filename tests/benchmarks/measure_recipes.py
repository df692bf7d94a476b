"""Train every recipe on its demo dataset through the command line, and state validation answers before and after.

    python -m tests.benchmarks.measure_recipes [--short] [--write]

`--write` puts the table into the README.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backend.metrics.bootstrap import paired_interval
from backend.recipes.library import load_recipe, recipe_names
from backend.settings import Workspace
from tests.benchmarks.scoring import score
from tests.scripts.readme import machine, write_section


def main() -> None:
    """Measure, print, and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one recipe, few steps, few rows")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--recipes", nargs="*", default=recipe_names())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:  # a keeper may linger
        workspace = Workspace(Path(folder))
        names = ["lora"] if args.short else args.recipes
        rows = [line for name in names for line in measure(name, workspace, short=args.short)]
    head = "| recipe | demo dataset | validation rows | shipped model | after | gain, 95 % interval | steps | seconds |"
    table = "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])
    text = (
        f"{table}\n\nExact match of greedy answers; gain in percentage points, row by row, with its bootstrap "
        "interval; seconds from the command to the final model, two evaluations of 64 rows included; "
        f"`python -m tests.benchmarks.measure_recipes --write` on {machine()}."
    )
    print(text)
    if args.write:
        write_section("measured:recipes", text)


def measure(name: str, workspace: Workspace, *, short: bool) -> list[str]:
    """Train one recipe as a person would; one line of the table for each of its datasets."""
    recipe, extra = load_recipe(name), ["--set", "optimiser.max_steps=3"] if short else []
    datasets = [word for dataset in recipe.demo_datasets for word in ("--dataset", dataset)]
    argv = [sys.executable, "-m", "studio.cli", "train", name, *datasets, *extra, "--json"]
    begun = time.monotonic()
    environment = os.environ | {"STUDIO_WORKSPACE": str(workspace.root)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr}{done.stdout}")
    run, lines = json.loads(done.stdout), []
    for dataset in recipe.demo_datasets:
        limit = 8 if short else 1000
        before, after = (score(reference, dataset, workspace, limit) for reference in ("demo", run["run_id"]))
        gain = paired_interval(before.hits, after.hits)
        points = [round(100 * share) for share in (gain.value, gain.low, gain.high)]
        shares = f"{before.share:.0%} | {after.share:.0%} | {points[0]:+d} [{points[1]:+d}, {points[2]:+d}]"
        lines.append(f"| `{name}` | {dataset} | {after.rows} | {shares} | {run['step']} | {seconds:.0f} |")
        print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    main()
