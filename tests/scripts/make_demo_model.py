"""Make `static/demo/model`: draw lessons, and train on them one after the other with the studio's own trainer.

    python -m tests.scripts.make_demo_model [--short] [--to FOLDER]

A model that starts from nothing learns to look only where looking pays at once, so the lessons grow: one shape and its
colour first, then several, then counting, and boxes last (their digits drown every other gradient).
"""

import argparse
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.datasets import DemoDataset, write_rows
from backend.demo.scenes import GENERAL, QuestionMaker, colour, count, describe, kind
from backend.recipes.library import load_recipe
from backend.recipes.resolve import resolve
from backend.settings import STATIC, Workspace
from backend.store.runs import RunStore
from launcher.run_manager import RunManager

KEPT = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One dataset and the passes over it."""

    questions: tuple[QuestionMaker, ...]
    turns: int
    max_shapes: int
    rows: int
    epochs: float
    rate: float
    schedule: str


LESSONS = (
    Lesson((colour, kind, describe), 3, 1, 2500, 1, 1e-3, "constant"),
    Lesson((colour, kind, describe, count), 4, 2, 4000, 1, 1e-3, "constant"),
    Lesson((colour, kind, describe, count), 4, 3, 10000, 1, 1e-3, "constant"),
    Lesson(GENERAL, 5, 3, 14000, 2, 1e-3, "cosine"),
    Lesson(GENERAL, 5, 3, 20000, 1, 7e-4, "cosine"),
)
SHORT = (Lesson(GENERAL, 5, 3, 32, 1, 1e-3, "cosine"),)


def main() -> None:
    """Train through all lessons and put the last final model where it ships."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--to", type=Path, default=STATIC / "demo" / "model")
    parser.add_argument("--after", type=int, default=0, help="go on from --to, which has learned so many lessons")
    args = parser.parse_args()
    lessons = (SHORT if args.short else LESSONS)[args.after :]
    with tempfile.TemporaryDirectory(prefix="make-demo-", ignore_cleanup_errors=True) as folder:  # a keeper may linger
        workspace = Workspace(Path(folder))
        workspace.prepare()
        base = args.to if args.after else untrained_in(workspace)
        final = train_lessons(workspace, lessons, base, args.after)
        shutil.rmtree(args.to, ignore_errors=True)
        args.to.mkdir(parents=True)
        for name in KEPT:
            if (final / name).is_file():
                shutil.copy2(final / name, args.to / name)
    print(f"{args.to}: {sum(path.stat().st_size for path in args.to.iterdir()) / 1e6:.1f} MB")


def untrained_in(workspace: Workspace) -> Path:
    """Make the model that has learned nothing."""
    from backend.programs.model.demo_model import make_untrained

    base = workspace.root / "untrained"
    make_untrained(base, seed=0)
    return base


def train_lessons(workspace: Workspace, lessons: tuple[Lesson, ...], base: Path, first: int) -> Path:
    """Train each lesson on what the one before left; returns the last final model."""
    store, launcher = DatasetStore(workspace), RunManager(workspace, RunStore(workspace))
    for number, lesson in enumerate(lessons, start=first):
        name = f"lesson-{number}"
        demo = DemoDataset(name, lesson.rows, lesson.questions, lesson.turns, night=False, seed=100 + number,
                           max_shapes=lesson.max_shapes)  # fmt: skip
        dataset = workspace.root / "drawn" / name
        write_rows(demo, dataset)
        store.import_dataset(dataset, ImportOptions(name=name, validation_share=0.0), None)
        shutil.rmtree(dataset)
        spec = load_recipe("full_finetune").spec.with_values(
            {
                "name": name,
                "model.base": str(base),
                "data.datasets": [{"name": name}],
                "batching.batch_size": 16,
                "optimiser.epochs": lesson.epochs,
                "optimiser.schedule": lesson.schedule,
                "optimiser.warmup_ratio": 0.02,
                "optimiser.language_rate": lesson.rate,
                "optimiser.merger_rate": lesson.rate,
                "optimiser.vision_rate": lesson.rate,
            }
        )
        view = launcher.wait(launcher.submit(resolve(spec, workspace)))
        if view.state != "finished":
            raise SystemExit(f"{name} {view.state}: {view.reason}\n{launcher.log_tail(view.id, 40)}")
        print(f"{name}: {view.step} steps, loss {view.metrics['loss']:.3f}", flush=True)
        base = view.folder.final_model
    return base


if __name__ == "__main__":
    main()
