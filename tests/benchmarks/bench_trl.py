"""Learn from rewards beside plain TRL: the same model, rows and settings, taking turns; steps a second and their ratio.

    python -m tests.benchmarks.bench_trl [--short] [--write]

`--write` puts the table into the README.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from backend.datasets.store import DatasetStore
from backend.demo.datasets import prepare_demo_datasets
from backend.ids import DatasetName
from backend.recipes.library import load_recipe
from backend.runs.events import read_all
from backend.runs.folder import RunFolder
from backend.settings import DEMO_MODEL, ROOT, Workspace
from backend.spec.run import RunSpec
from tests.scripts.readme import machine, write_section

DATASET = "night-shapes"
STEPS, WARM = 14, 4
METHODS = ("lora", "full")


def main() -> None:
    """Measure, print, and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one method, once, few steps")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    methods, times = (METHODS[:1], 1) if args.short else (METHODS, args.repetitions)
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder))
        workspace.prepare()
        prepare_demo_datasets(DatasetStore(workspace))
        lines = [measure(method, workspace, times, short=args.short) for method in methods]
    text = "\n".join(["| | the studio, steps/s | plain TRL, steps/s | ratio |", "|---|---|---|---|", *lines])
    text += (
        f"\n\nMedian [least, most] of {times}, taking turns: the demo model, `{DATASET}`, 128 answers a step (16 "
        f"questions, 8 answers each, at most 32 tokens), fp32, steps {WARM + 1} to {STEPS}; TRL pads its rows and "
        "looks at an image once for each answer. `python -m tests.benchmarks.bench_trl --write` on " + machine() + "."
    )
    print(text)
    if args.write:
        write_section("measured:trl", text)


def measure(method: str, workspace: Workspace, times: int, *, short: bool) -> str:
    """Let both train so often; one line of the table."""
    spec = load_recipe("grpo").spec.with_values(
        {
            "strategy.name": method, "model.precision": "fp32", "data.datasets": [{"name": DATASET}],
            "optimiser.max_steps": 6 if short else STEPS, "optimiser.schedule": "constant", "evaluation.rows": 0,
            "saving.every_minutes": 0, "batching.batch_size": 16 if short else 128,
            **{f"optimiser.{part}_rate": 1e-6 for part in ("language", "merger", "vision")},  # answers stay alike
        }
    )  # fmt: skip
    warm = 2 if short else WARM
    ours, theirs = [], []
    for _ in range(times):
        ours.append(rate(studio_ends(spec, workspace), warm))
        theirs.append(rate(trl_ends(spec, workspace), warm))
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return f"| {method} | {spread(ours)} | {spread(theirs)} | {spread(ratios)} |"


def studio_ends(spec: RunSpec, workspace: Workspace) -> list[float]:
    """Train in the studio; when each step ended."""
    path = workspace.root / "spec.yaml"
    path.write_text(json.dumps(spec.model_dump(mode="json", exclude={"recipe"})))
    argv = [sys.executable, "-m", "studio.cli", "train", str(path), "--json"]
    run = json.loads(output_of(argv, {"STUDIO_WORKSPACE": str(workspace.root)}))
    events = read_all(RunFolder(workspace.output / run["run_id"]).events)
    return [event.time for event in events if event.kind == "metric" and "reward" in event.values]


def trl_ends(spec: RunSpec, workspace: Workspace) -> list[float]:
    """Train with plain TRL on the same rows; when each step ended."""
    store = DatasetStore(workspace)
    folder = store.folder(DatasetName(DATASET))
    rows = [
        {"question": row.messages[0].content.removeprefix("<image>").strip(), "image": str(folder / row.images[0]),
         "answer": row.messages[-1].content}
        for row in store.rows(DatasetName(DATASET), split="train")
    ]  # fmt: skip
    settings: dict[str, Any] = {"model": str(DEMO_MODEL), "rows": rows, "spec": spec.model_dump(mode="json")}
    path = workspace.root / "settings.json"
    path.write_text(json.dumps(settings | {"output": str(workspace.root / "trl")}))
    output = output_of([sys.executable, "-m", "tests.benchmarks.plain_trl", str(path)], {})
    return json.loads(output.strip().splitlines()[-1])


def output_of(argv: list[str], added: dict[str, str]) -> str:
    """Run a program that must succeed; what it said."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | added
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed: {done.stderr[-3000:]}{done.stdout[-500:]}")
    return done.stdout


def rate(ends: list[float], warm: int) -> float:
    """Steps a second behind the first ones."""
    return (len(ends) - warm) / (ends[-1] - ends[warm - 1])


def spread(values: list[float]) -> str:
    """Median [least, most]."""
    return f"{median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()
