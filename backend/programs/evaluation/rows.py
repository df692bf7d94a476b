"""What is asked: rows of the chosen datasets, as each contestant is shown them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from backend.conversation import Row
from backend.datasets.store import DatasetStore
from backend.errors import DatasetError
from backend.ids import DatasetName
from backend.image_size import scaled_boxes
from backend.programs.model.prompts import Question, seen_scale
from backend.row_length import RowMeter, RowSize, fit
from backend.settings import Workspace
from backend.spec.evaluation import Shown
from backend.spec.run import RunSpec

GREY = (128, 128, 128)


class Asked(NamedTuple):
    """A row, and the folder of its dataset."""

    row: Row
    folder: Path


def chosen_rows(spec: RunSpec, workspace: Workspace) -> list[Asked]:
    """The rows that end with an answer, of the split, at most `comparison.limit` of them by the run's seed; in order.

    Raises:
        DatasetError: there is none.
    """
    store, wanted = DatasetStore(workspace), spec.comparison
    split = None if wanted.split == "all" else wanted.split
    found = [
        Asked(row, store.folder(DatasetName(share.name)))
        for share in spec.data.datasets
        for row in store.rows(share.name, split=split, sha256=share.sha256)
        if row.messages[-1].role == "assistant"
    ]
    if not found:
        raise DatasetError("The chosen datasets have no such rows that end with an answer", hint="Ask all rows instead")
    if not wanted.limit or wanted.limit >= len(found):
        return found
    places = random.Random(f"{spec.data.seed}/evaluation").sample(range(len(found)), wanted.limit)
    return [found[place] for place in sorted(places)]


def questions_for(
    rows: Sequence[Asked], spec: RunSpec, shown: Shown, meter: RowMeter, room: Path
) -> list[Question | None]:
    """Each row as a question of one contestant; None where it is longer than `data.max_tokens`.

    Args:
        rows: what is asked.
        spec: with the pixel bounds of this contestant.
        shown: which images stand in the place of the rows' own.
        meter: of its model.
        room: a folder for grey images.
    """
    sizes = [meter.size(*asked) for asked in rows]
    if shown == "own":
        return [_question(asked, size, spec, None) for asked, size in zip(rows, sizes, strict=True)]
    if shown == "blank":
        blanks = [tuple(_blank(size, room) for size in found.images) for found in sizes]
        return [_question(asked, size, spec, paths) for asked, size, paths in zip(rows, sizes, blanks, strict=True)]
    return [
        _question(asked, RowSize(size.text, tuple(measures for _, measures in others)), spec,
                  tuple(path for path, _ in others))
        for asked, size, others in zip(rows, sizes, _exchanged(rows, sizes, spec.data.seed), strict=True)
    ]  # fmt: skip


def stored_answer(text: str, question: Question, spec: RunSpec) -> str:
    """An answer with its boxes in the pixels that the gold answer's are in."""
    scale = seen_scale(question.fit, spec)
    return text if scale is None else scaled_boxes(text, scale.inverse)


def frame_of(question: Question, spec: RunSpec) -> tuple[int, int] | None:
    """(width, height) in px of the space in which boxes of the gold answer are; None without an image."""
    if not question.fit.images:
        return None
    if seen_scale(question.fit, spec) is None:
        return question.seen_sizes(spec)[0]
    height, width = question.fit.images[0]
    return width, height


def _question(asked: Asked, size: RowSize, spec: RunSpec, shown: tuple[Path, ...] | None) -> Question | None:
    fitted = fit(size, spec.data, spec.model)
    return None if fitted is None else replace(Question(asked.row, asked.folder, fitted), shown=shown)


def _blank(size: tuple[int, int], room: Path) -> Path:
    """A grey image of this (height, width) in px."""
    path = room / f"grey-{size[1]}x{size[0]}.png"
    if not path.is_file():
        room.mkdir(exist_ok=True)
        Image.new("RGB", (size[1], size[0]), GREY).save(path)
    return path


def _exchanged(rows: Sequence[Asked], sizes: Sequence[RowSize], seed: int) -> list[list[tuple[Path, tuple[int, int]]]]:
    """For each row as many images as it has, with their sizes: those of other rows, never one of its own.

    All images are laid out in a drawn order and each row takes those half of the circle away.
    """
    owned = [[asked.folder / name for name in asked.row.images] for asked in rows]
    known = {path: size for paths, found in zip(owned, sizes, strict=True)
             for path, size in zip(paths, found.images, strict=True)}  # fmt: skip
    circle = sorted(known)
    random.Random(f"{seed}/shuffled").shuffle(circle)
    at = {path: place for place, path in enumerate(circle)}
    exchanged = []
    for paths in owned:
        others = []
        for path in paths:
            place = (at[path] + len(circle) // 2) % len(circle)
            while circle[place] in paths and len(set(circle) - set(paths)):
                place = (place + 1) % len(circle)
            others.append((circle[place], known[circle[place]]))
        exchanged.append(others)
    return exchanged
