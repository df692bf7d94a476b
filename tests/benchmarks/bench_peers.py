"""How fast the studio trains beside other trainers: the same model, rows and settings, taking turns in one call.

python -m tests.benchmarks.bench_peers --bench FOLDER [--short] [--write] [--repetitions N]

FOLDER holds the peers (`run_bench.py`, `peer_cmds.py`, `make_work.py`), which keep their work and environments under
`$BENCH_HOME`; `$BENCH_VC` names the environment of those that need none of their own, else it is this one.
"""

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backend.datasets.store import DatasetStore, ImportOptions
from backend.ids import new_run_id
from backend.recipes.resolve import resolve
from backend.runs.folder import RunFolder
from backend.settings import ROOT, Workspace
from backend.spec.deepspeed import deepspeed_config
from backend.spec.run import RunSpec
from launcher.commands import free_port, training_command
from tests.scripts.readme import machine, write_section

STUDIO, BEST = "studio", "loop_packed"
NAMES = {
    STUDIO: "**the studio**",
    BEST: "hand-written loop, packed",
    "loop_padded": "hand-written loop, padded",
    "trl": "TRL SFTTrainer",
    "llamafactory": "LLaMA-Factory",
    "swift": "ms-swift",
}
OWN_ENVIRONMENTS = {"llamafactory": "venv_lf", "swift": "venv_swift"}  # below $BENCH_HOME
METHODS = ("full", "lora")
RATE = 1e-4
Outcome = dict[str, Any]  # as `run_bench.run` gives it


def main() -> None:
    """Let all contenders take turns, print the table, and maybe write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True, help="the folder of the peers")
    parser.add_argument("--short", action="store_true", help="one repetition of the studio and the fastest peer")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = prepare(args.bench.resolve(), Workspace(Path(folder)))
        present, absent = contenders(bench.home)
        names = [BEST, STUDIO] if args.short else present
        outcomes = [
            bench.run(name, method, 0, repetition)
            for repetition in range(1, 2 if args.short else args.repetitions + 1)
            for method in METHODS
            for name in names
        ]
    failed = {f"{outcome['peer']} {outcome['mode']}" for outcome in outcomes if "samples_s" not in outcome}
    if failed:
        raise SystemExit(f"No speed from {', '.join(sorted(failed))}; see the logs below {bench.home / 'runs'}")
    text = f"{table(outcomes, names)}\n\n{caption(outcomes, absent)}"
    print(text)
    if args.write:
        write_section("measured:bench", text)


@dataclass(frozen=True, slots=True)
class Bench:
    """The peers' own harness, with the studio among its contenders."""

    home: Path
    run: Callable[[str, str, int, int], Outcome]  # contender, method, loader processes, repetition


def prepare(folder: Path, workspace: Workspace) -> Bench:
    """Load the harness from its folder, make its work where that is missing, and add the studio to its peers."""
    os.environ.setdefault("BENCH_VC", sys.prefix)
    sys.dont_write_bytecode = True  # the folder is not ours to write to
    sys.path.insert(0, str(folder))
    peers, harness = importlib.import_module("peer_cmds"), importlib.import_module("run_bench")
    if not Path(peers.MODEL).is_dir():
        subprocess.run([sys.executable, str(folder / "make_work.py")], check=True)
    import_rows(Path(peers.DATA), workspace)

    def studio(method: str, _workers: int, _out: str) -> tuple[list[str], dict[str, str]]:
        run = new_run(spec_of(method, peers), workspace, method)
        command = training_command(run, ("cpu:0",), free_port(set()))
        added = {name: value for name, value in command.env.items() if name not in ("PYTHONPATH", "HF_HUB_OFFLINE")}
        return list(command.argv), added | {"PYTHONPATH_EXTRA": str(ROOT)}  # the harness sets the two itself

    peers.PEERS[STUDIO] = studio
    return Bench(Path(peers.HOME), harness.run)


def import_rows(data: Path, workspace: Workspace) -> None:
    """Bring the peers' rows into the workspace as a person would, all of them for training."""
    workspace.prepare()
    upload = workspace.root / "upload"
    shutil.copytree(data / "images", upload / "images")
    rows = [json.loads(line) for line in (data / "bench_rows.jsonl").read_text().splitlines()]
    messages = [
        {"id": row["id"], "images": [row["image"]], "messages": [turn for pair in turns_of(row) for turn in pair]}
        for row in rows
    ]
    (upload / "data.json").write_text(json.dumps(messages))
    DatasetStore(workspace).import_dataset(upload, ImportOptions(name="bench", validation_share=0.0))


def turns_of(row: dict[str, Any]) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Question and answer of each turn; the image stands before the first question."""
    return [
        (
            {"role": "user", "content": ("" if number else "<image>") + question},
            {"role": "assistant", "content": answer},
        )
        for number, (question, answer) in enumerate(row["turns"])
    ]


def spec_of(method: str, peers: Any) -> RunSpec:
    """The settings that all contenders share."""
    return RunSpec().with_values(
        {
            "strategy.name": method,
            "strategy.lora_rank": peers.R,
            "strategy.lora_alpha": peers.ALPHA,
            "model.base": peers.MODEL,
            "model.precision": "fp32",
            "model.min_pixels": peers.MINP,
            "model.max_pixels": peers.MAXP,
            "data.datasets": [{"name": "bench"}],
            "data.seed": peers.SEED,
            "batching.batch_size": peers.BS,
            "optimiser.epochs": 1.0,
            "optimiser.schedule": "constant",
            "optimiser.warmup_ratio": 0.0,
            "optimiser.max_grad_norm": 1.0,
            **{f"optimiser.{part}_rate": RATE for part in ("language", "merger", "vision")},
        }
    )


def new_run(spec: RunSpec, workspace: Workspace, name: str) -> RunFolder:
    """The folder of one run, as the launcher makes it."""
    folder = RunFolder(workspace.output / new_run_id(name, datetime.now(UTC)))
    folder.path.mkdir()
    resolved = resolve(spec, workspace)
    folder.deepspeed.write_text(json.dumps(deepspeed_config(resolved)))
    folder.spec.write_text(resolved.model_dump_json())
    return folder


def contenders(home: Path) -> tuple[list[str], list[str]]:
    """Who can run here, and who lacks its environment."""
    absent = [name for name, environment in OWN_ENVIRONMENTS.items() if not (home / environment).is_dir()]
    return [name for name in NAMES if name not in absent], absent


def table(outcomes: list[Outcome], names: list[str]) -> str:
    """Speed of each contender and its ratio to the fastest peer, method by method."""
    speed = "| samples/s | " + " | ".join(f"{method} | to the packed loop" for method in METHODS)
    head = f"{speed} | CPU ms a sample | start to first step, s | peak memory, MB |"
    lines = [head, "|---|" + "---|" * (2 * len(METHODS) + 3)]
    for name in names:
        cells = [NAMES[name]]
        for method in METHODS:
            mine, best = (speeds(outcomes, one, method) for one in (name, BEST))
            ratios = [a / b for a, b in zip(mine, best, strict=True)]
            cells += [spread(mine, 1), spread(ratios, 2)]
        runs = [outcome for outcome in outcomes if outcome["peer"] == name]
        costs = [[1000 * run["cpu_s_per_sample"] for run in runs if run["mode"] == method] for method in METHODS]
        cells.append(" / ".join(f"{statistics.median(cost):.0f}" for cost in costs))
        cells.append(spread([outcome["t_first_step_s"] for outcome in runs], 1))
        cells.append(f"{statistics.median(outcome['peak_rss_MB'] for outcome in runs):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def speeds(outcomes: list[Outcome], name: str, method: str) -> list[float]:
    """Samples a second behind the first five steps, by repetition."""
    return [outcome["samples_s"] for outcome in outcomes if (outcome["peer"], outcome["mode"]) == (name, method)]


def spread(values: list[float], digits: int) -> str:
    """Median [least, most]."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} [{least:.{digits}f}, {most:.{digits}f}]"


def caption(outcomes: list[Outcome], absent: list[str]) -> str:
    """What was measured, where, how quiet it was, and who is missing."""
    times = max(outcome["rep"] for outcome in outcomes)
    load = max(outcome["other_cpu_cores"] for outcome in outcomes)
    text = (
        f"Median [least, most] of {times}, taking turns: a Qwen2.5-VL of 6.9 M parameters, 512 rows, 64 steps of 8, "
        f"fp32, steps 6 to 64. Other processes used up to {load:.1f} cores. "
        f"`python -m tests.benchmarks.bench_peers --write` on {machine()}."
    )
    missing = " and ".join(NAMES[name] for name in absent)
    return f"{text} Left out, for want of its environment: {missing}." if missing else text


if __name__ == "__main__":
    main()
