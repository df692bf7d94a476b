"""How fast an evaluation asks rows, beside a plain loop of `generate` that asks one row after the other.

    python -m tests.benchmarks.measure_eval [--short] [--write]

Both answer the same rows of the demo data with the demo model, greedily; `--write` puts the table into the README.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from backend.catalog.checkpoints import DEFAULT_PIXEL_BOUNDS
from backend.datasets.store import DatasetStore
from backend.demo.datasets import prepare_demo_datasets
from backend.runs.answers import Answer, read_answers
from backend.runs.folder import RunFolder
from backend.settings import DEMO_MODEL, Workspace
from tests.scripts.readme import machine, write_section
from tests.serving import add_demo

DATASET, ROWS, SHORT_ROWS = "night-codes", 1000, 24
LONGEST = 32  # tokens of an answer


class Taken(NamedTuple):
    """The answers of one way, and the seconds spent answering, without loading."""

    answers: list[str]
    seconds: float


def main() -> None:
    """Measure, print, and maybe write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="few rows")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    count = SHORT_ROWS if args.short else ROWS
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder))
        workspace.prepare()
        if args.short:
            add_demo(workspace, Path(folder) / "rows", (DATASET,))
        else:
            prepare_demo_datasets(DatasetStore(workspace))
        rows, studio = evaluated(workspace, count)
        plain = plain_loop(rows, workspace)
    same = sum(one == other for one, other in zip(studio.answers, plain.answers, strict=True))
    ratio = plain.seconds / studio.seconds
    text = (
        "| | seconds | answers a second | |\n|---|---|---|---|\n"
        f"| `studio eval` | {studio.seconds:.1f} | {count / studio.seconds:.1f} | {ratio:.1f} times as fast |\n"
        f"| plain `generate`, one row at a time | {plain.seconds:.1f} | {count / plain.seconds:.1f} | |\n\n"
        f"{count:,} rows of `{DATASET}` asked of the demo model, greedily, up to {LONGEST} tokens; {same:,} "
        f"of {count:,} answers are the same to the letter; without the loading of the model. "
        f"`python -m tests.benchmarks.measure_eval --write` on {machine()}."
    )
    print(text)
    if args.write:
        write_section("measured:eval", text)


def evaluated(workspace: Workspace, count: int) -> tuple[list[Answer], Taken]:
    """Let `studio eval` ask the rows; they, with its answers, in order."""
    argv = [sys.executable, "-m", "studio.cli", "eval", "demo", "--dataset", DATASET, "--rows", "all",
            "--limit", str(count), "--set", f"comparison.max_new_tokens={LONGEST}", "--json"]  # fmt: skip
    environment = os.environ | {"STUDIO_WORKSPACE": str(workspace.root)}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    rows = read_answers(RunFolder(Path(run["folder"])).answers, 0)
    return rows, Taken([row.raw or row.given for row in rows], run["report"]["sides"][0]["seconds"])


def plain_loop(rows: list[Answer], workspace: Workspace) -> Taken:
    """What a person would write: the released processor and `generate`, a row at a time."""
    processor = Qwen2_5_VLProcessor.from_pretrained(DEMO_MODEL)
    processor.image_processor.size = dict(zip(("shortest_edge", "longest_edge"), DEFAULT_PIXEL_BOUNDS, strict=True))
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(DEMO_MODEL, dtype=torch.float32).eval()
    answers, begun = [], time.monotonic()
    for row in rows:
        images = [Image.open(workspace.data / row.dataset / name).convert("RGB") for name in row.images]
        inputs = processor(text=[prompt(row)], images=images or None, return_tensors="pt")
        with torch.inference_mode():
            made = model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
        answers.append(processor.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return Taken(answers, time.monotonic() - begun)


def prompt(row: Answer) -> str:
    """The conversation as the released chat template writes it."""
    seen = "<|vision_start|><|image_pad|><|vision_end|>"
    turns = "".join(
        f"<|im_start|>{turn.role}\n{turn.content.replace('<image>', seen)}<|im_end|>\n" for turn in row.asked
    )
    return f"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{turns}<|im_start|>assistant\n"


if __name__ == "__main__":
    main()
