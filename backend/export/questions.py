"""What both models are asked: held-out rows of the run where they are at hand, else pictures drawn here."""

import random
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from backend.catalog.checkpoints import Checkpoint
from backend.conversation import Message
from backend.datasets.store import DatasetStore
from backend.demo.shapes import draw, make_scene
from backend.errors import StudioError
from backend.settings import Workspace
from backend.spec.reading import read_spec

QUESTIONS = 8


class Question(NamedTuple):
    """A conversation that waits for its answer."""

    messages: tuple[Message, ...]
    pictures: tuple[Path, ...]


def questions_for(checkpoint: Checkpoint, workspace: Workspace, work: Path) -> list[Question]:
    """Choose up to 8 questions; drawn pictures are written to `work`."""
    try:
        spec = read_spec(checkpoint.folder.parent)
        found = [
            Question(row.messages[:-1], tuple(store.folder(share.name) / name for name in row.images))
            for store in [DatasetStore(workspace)]
            for share in spec.data.datasets
            for row in store.rows(share.name, "heldout", share.sha256)
            if row.messages[-1].role == "assistant"
        ]
    except (StudioError, ValueError):
        found = []
    chance = random.Random(0)
    return chance.sample(found, min(QUESTIONS, len(found))) if found else _drawn(work, chance)


def _drawn(work: Path, chance: random.Random) -> list[Question]:
    """Scenes of coloured shapes, and questions that any model can answer somehow."""
    asked = ("Describe the picture.", "What colours do you see?", "How many shapes are there?", "图中有什么？")
    questions = []
    for number in range(QUESTIONS):
        picture: Image.Image = draw(make_scene(chance, 3), night=number % 2 == 1)
        path = work / f"{number}.png"
        picture.save(path)
        text = f"<image>{asked[number % len(asked)]}"
        questions.append(Question((Message(role="user", content=text),), (path,)))
    return questions
