"""How long a person waits from `studio train` to the first optimizer step, without compiler and caches.

python -m tests.benchmarks.measure_start [--short] [--write]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backend.runs.events import read_all
from backend.runs.folder import RunFolder
from tests.scripts.readme import machine, write_section

STAGES = ("command to program", "program to loaded", "loaded to first step", "all")


def main() -> None:
    """Measure a few starts one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one start")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:  # a keeper may linger
        root = Path(folder)
        studio(root, "dataset", "demo")
        starts = [measure(root) for _ in range(1 if args.short else 5)]
    lines = ["| seconds, median [least, most] | " + " | ".join(STAGES) + " |", "|---|" + "---|" * len(STAGES)]
    cells = []
    for stage in range(len(STAGES)):
        values = [start[stage] for start in starts]
        cells.append(f"{statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]")
    lines.append(f"| `studio train full_finetune`, {len(starts)} starts | {' | '.join(cells)} |")
    text = "\n".join([*lines, "", f"`python -m tests.benchmarks.measure_start --write` on {machine()}."])
    print(text)
    if args.write:
        write_section("measured:start", text)


def measure(root: Path) -> tuple[float, float, float, float]:
    """Start one short run; seconds of each stage."""
    begun = time.time()
    run = json.loads(studio(root, "train", "full_finetune", "--dataset", "paint-codes", "--set",
                             "optimiser.max_steps=2", "--json"))  # fmt: skip
    events = read_all(RunFolder(Path(run["folder"])).events)
    program = events[0].time
    loaded = next(event.time for event in events if event.values.get("phase") == "training")
    stepped = next(event.time for event in events if "loss" in event.values)
    return program - begun, loaded - program, stepped - loaded, stepped - begun


def studio(root: Path, *words: str) -> str:
    """Run one command on a PATH without a compiler and with empty extension caches."""
    (root / "bin").mkdir(exist_ok=True)
    environment = {"HOME": os.environ.get("HOME", str(root)), "PATH": str(root / "bin"), "STUDIO_WORKSPACE": str(root)}
    environment["TORCH_EXTENSIONS_DIR"] = str(root / "extensions")
    if "OMP_NUM_THREADS" in os.environ:
        environment["OMP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]
    argv = [sys.executable, "-m", "studio.cli", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
