"""The demo datasets: drawn from a seed, written in the official Qwen layout, and imported like anybody's upload."""

import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.scenes import GENERAL, QuestionMaker, draw, make_scene, paint_code
from backend.ids import DatasetName

CHINESE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class DemoDataset:
    """A recipe for drawing rows."""

    name: str
    rows: int
    questions: tuple[QuestionMaker, ...]
    turns: int  # questions about each image
    night: bool
    seed: int
    validation_share: float = 0.15
    max_shapes: int = 3


DEMO_DATASETS: tuple[DemoDataset, ...] = (
    DemoDataset("shapes", 240, GENERAL, turns=1, night=False, seed=11),
    DemoDataset("paint-codes", 1200, (paint_code,), turns=1, night=False, seed=12),
    DemoDataset("night-shapes", 800, GENERAL[:4], turns=1, night=True, seed=13),
    DemoDataset("night-codes", 1200, (paint_code, *GENERAL[1:4]), turns=1, night=True, seed=14),
)


def prepare_demo_datasets(store: DatasetStore) -> list[str]:
    """Import the demo datasets that are not there yet; returns the names of those it made."""
    present = set(store.names())
    return [demo.name for demo in DEMO_DATASETS if demo.name not in present and _import(demo, store)]


def write_rows(demo: DemoDataset, folder: Path) -> Path:
    """Draw the images into `folder/images` and write `data.json` beside them.

    Returns:
        `folder/data.json`: a list of `{"id", "image", "conversations"}`.
    """
    rng = random.Random(demo.seed)
    (folder / "images").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    while len(rows) < demo.rows:
        scene = make_scene(rng, demo.max_shapes)
        turns = _conversation(demo, scene, rng)
        if not turns:
            continue
        name = f"images/{demo.name}-{len(rows):05d}.png"
        draw(scene, night=demo.night).save(folder / name)
        rows.append({"id": f"{demo.name}-{len(rows):05d}", "image": name, "conversations": turns})
    path = folder / "data.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def _conversation(demo: DemoDataset, scene: Any, rng: random.Random) -> list[dict[str, str]]:
    """Ask up to `demo.turns` different questions; the image stands in the first."""
    chinese = rng.random() < CHINESE_SHARE
    questions = rng.sample(demo.questions, min(demo.turns, len(demo.questions)))
    turns: list[dict[str, str]] = []
    for make_question in questions:
        pair = make_question(scene, rng, chinese)
        if pair is not None:
            question = pair[0] if turns else f"<image>\n{pair[0]}"
            turns += [{"from": "human", "value": question}, {"from": "gpt", "value": pair[1]}]
    return turns


def _import(demo: DemoDataset, store: DatasetStore) -> DatasetName:
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        source = Path(folder) / demo.name  # the manifest says where a dataset came from
        write_rows(demo, source)
        options = ImportOptions(name=demo.name, validation_share=demo.validation_share)
        return DatasetName(store.import_dataset(source, options, None).manifest.name)
