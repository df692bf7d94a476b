"""What is asked: rows of the chosen datasets, as each contestant is shown them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from backend.conversation import Row
from backend.coordinates import unit_of
from backend.datasets.store import DatasetStore
from backend.errors import DatasetError
from backend.ids import DatasetName
from backend.image_size import scaled_boxes
from backend.programs.model.prompts import PromptRow, seen_scale
from backend.row_length import RowMeter, RowSize, fit
from backend.settings import Workspace
from backend.spec.evaluation import Shown
from backend.spec.run import RunSpec

GREY = (128, 128, 128)


class EvaluationRow(NamedTuple):
    """A row, and the folder of its dataset."""

    row: Row
    folder: Path


def chosen_rows(spec: RunSpec, workspace: Workspace) -> list[EvaluationRow]:
    """The rows that end with an answer, of the split, at most `comparison.limit` of them by the run's seed; in order.

    Raises:
        DatasetError: there is none.
    """
    store, comparison = DatasetStore(workspace), spec.comparison
    split = None if comparison.split == "all" else comparison.split
    rows = [
        EvaluationRow(row, store.folder(DatasetName(share.name)))
        for share in spec.data.datasets
        for row in store.rows(share.name, split=split, sha256=share.sha256)
        if row.messages[-1].role == "assistant"
    ]
    if not rows:
        raise DatasetError("The chosen datasets have no such rows that end with an answer", hint="Ask all rows instead")
    if not comparison.limit or comparison.limit >= len(rows):
        return rows
    places = random.Random(f"{spec.data.seed}/evaluation").sample(range(len(rows)), comparison.limit)
    return [rows[place] for place in sorted(places)]


def questions_for(
    rows: Sequence[EvaluationRow], spec: RunSpec, image_source: Shown, meter: RowMeter, scratch: Path
) -> list[PromptRow | None]:
    """Each row as a question of one contestant; None where it is longer than `data.max_tokens`.

    Args:
        rows: what is asked.
        spec: with the pixel bounds of this contestant.
        image_source: which images stand in the place of the rows' own.
        meter: of its model.
        scratch: a folder for grey images.
    """
    sizes = [meter.size(*eval_row) for eval_row in rows]
    if image_source == "own":
        return [_question(eval_row, size, spec, None) for eval_row, size in zip(rows, sizes, strict=True)]
    if image_source == "blank":
        blanks = [tuple(_blank(size, scratch) for size in row_size.images) for row_size in sizes]
        return [
            _question(eval_row, size, spec, paths) for eval_row, size, paths in zip(rows, sizes, blanks, strict=True)
        ]
    return [
        _question(
            eval_row,
            RowSize(size.text, tuple(measures for _, measures in others)),
            spec,
            tuple(path for path, _ in others),
        )
        for eval_row, size, others in zip(rows, sizes, _exchanged(rows, sizes, spec.data.seed), strict=True)
    ]


def stored_answer(text: str, question: PromptRow, spec: RunSpec) -> str:
    """An answer with its boxes in the pixels that the gold answer's are in; as it is where that counts otherwise."""
    scale = seen_scale(question.fit, spec)
    is_scaled = scale is not None and unit_of(question.row.gold or "", scale.bounds) in ("pixels", "none")
    return scaled_boxes(text, scale.inverse) if scale is not None and is_scaled else text


def frame_of(question: PromptRow, spec: RunSpec) -> tuple[int, int] | None:
    """(width, height) in px of the space in which boxes of the gold answer are; None without an image."""
    if not question.fit.images:
        return None
    if seen_scale(question.fit, spec) is None:
        return question.seen_sizes(spec)[0]
    height, width = question.fit.images[0]
    return width, height


def _question(
    eval_row: EvaluationRow, size: RowSize, spec: RunSpec, images: tuple[Path, ...] | None
) -> PromptRow | None:
    fitted = fit(size, spec.data, spec.model)
    return None if fitted is None else replace(PromptRow(eval_row.row, eval_row.folder, fitted), other_images=images)


def _blank(size: tuple[int, int], scratch: Path) -> Path:
    """A grey image of this (height, width) in px."""
    path = scratch / f"grey-{size[1]}x{size[0]}.png"
    if not path.is_file():
        scratch.mkdir(exist_ok=True)
        Image.new("RGB", (size[1], size[0]), GREY).save(path)
    return path


def _exchanged(
    rows: Sequence[EvaluationRow], sizes: Sequence[RowSize], seed: int
) -> list[list[tuple[Path, tuple[int, int]]]]:
    """For each row as many images as it has, with their sizes: those of other rows, never one of its own.

    All images are laid out in a drawn order and each row takes those half of the circle away.
    """
    owned = [[eval_row.folder / name for name in eval_row.row.images] for eval_row in rows]
    size_of = {
        path: size
        for paths, row_size in zip(owned, sizes, strict=True)
        for path, size in zip(paths, row_size.images, strict=True)
    }
    circle = sorted(size_of)
    random.Random(f"{seed}/shuffled").shuffle(circle)
    at = {path: place for place, path in enumerate(circle)}
    exchanged = []
    for paths in owned:
        others = []
        for path in paths:
            place = (at[path] + len(circle) // 2) % len(circle)
            while circle[place] in paths and len(set(circle) - set(paths)):
                place = (place + 1) % len(circle)
            others.append((circle[place], size_of[circle[place]]))
        exchanged.append(others)
    return exchanged
