"""A dataset's row as a question: what stands before its last answer, and that answer as the gold one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.conversation import Message, Row, Split
from backend.datasets.store import DatasetStore
from backend.ids import DatasetName
from backend.image_size import Scale, resized, scale_of, scaled_boxes
from backend.rewards.trl_reward import IMAGES_COLUMN
from backend.row_length import RowFit, RowMeter, fit
from backend.settings import Workspace
from backend.spec.run import RunSpec

if TYPE_CHECKING:  # which takes seconds to import: a dry run asks its rewards meanwhile
    from backend.programs.model.encoder import Encoder, Sample


RESERVED_COLUMNS = {  # what rewards get by these names is ours, and TRL looks for some of them
    IMAGES_COLUMN, "prompt", "prompts", "completion", "completions", "completion_ids", "answer", "references", "id",
    "dataset", "image", "images", "image_sizes", "video", "videos", "trainer_state", "log_extra", "log_metric",
}  # fmt: skip


def with_same_columns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every row all columns of all of them, None where it has none: rewards get one list for each."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in names} for row in rows]


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One row whose last turn is an answer, and how it fits into the run's bounds."""

    row: Row
    folder: Path  # of its dataset
    fit: RowFit
    other_images: tuple[Path, ...] | None = None  # other images in the place of its own

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"{self.folder.name}/{self.row.id}"

    @property
    def images(self) -> list[Path]:
        """The files of the images that are shown."""
        return (
            list(self.other_images)
            if self.other_images is not None
            else [self.folder / name for name in self.row.images]
        )

    def turns(self, spec: RunSpec) -> tuple[Message, ...]:
        """All turns as the model sees them, the gold answer last."""
        return seen_messages(self.row, self.fit, spec)

    def encoded(self, spec: RunSpec, encoder: "Encoder", *, for_answer: bool = False) -> "Sample":
        """The whole row, or all but its gold answer with an open turn. Raises DatasetError naming it."""
        turns = self.turns(spec)
        return encoder.encode(
            turns[:-1] if for_answer else turns,
            self.images,
            for_answer=for_answer,
            name=self.name,
            max_pixels=self.fit.max_pixels,
        )

    def columns(self, spec: RunSpec) -> dict[str, Any]:
        """The row as TRL takes it: the conversation before the answer, and what rewards may ask for by name.

        `answer` and `solution` are the gold answer and `references` those that are as good, boxes in pixels of the
        image as the model sees it, whose sizes `image_sizes` gives as [width, height]; `images` are paths. Every other
        column that the row had when it was uploaded is there by its name, a `solution` of its own too.
        """
        turns = self.turns(spec)
        own = {name: value for name, value in self.row.columns.items() if name not in RESERVED_COLUMNS}
        return (
            {"solution": turns[-1].content}
            | own
            | {
                "prompt": [turn.model_dump() for turn in turns[:-1]],
                "answer": turns[-1].content,
                "references": self.references(spec),
                "id": self.row.id,
                "dataset": self.folder.name,
                IMAGES_COLUMN: [str(path) for path in self.images],
                "image_sizes": [list(size) for size in self.seen_sizes(spec)],
            }
        )

    def references(self, spec: RunSpec) -> list[str]:
        """Other answers that are as good as the gold one, likewise as the model sees its image."""
        scale = seen_scale(self.fit, spec)
        return [text if scale is None else scaled_boxes(text, scale) for text in self.row.references]

    def seen_sizes(self, spec: RunSpec) -> list[tuple[int, int]]:
        """(width, height) in px of each image as the model sees it."""
        bounds = (spec.model.min_pixels, self.fit.max_pixels)
        sizes = [resized(height, width, *bounds) for height, width in self.fit.images]
        return [(width, height) for height, width in sizes]


def dataset_folders(spec: RunSpec, workspace: Workspace) -> list[Path]:
    """The folders of the run's datasets, whose images rewards may read. Raises NotFoundError."""
    store = DatasetStore(workspace)
    return [store.folder(DatasetName(share.name)) for share in spec.data.datasets]


def questions_of(spec: RunSpec, workspace: Workspace, meter: RowMeter, split: Split) -> list[PromptRow]:
    """The rows of one split of the run's datasets that end with an answer and are not too long, in order."""
    store, questions = DatasetStore(workspace), []
    for share in spec.data.datasets:
        folder = store.folder(DatasetName(share.name))
        for row in store.rows(share.name, split, share.sha256):
            fitted = fit(meter.size(row, folder), spec.data, spec.model)
            if fitted is not None and row.messages[-1].role == "assistant":
                questions.append(PromptRow(row, folder, fitted))
    return questions


def validation_questions(spec: RunSpec, workspace: Workspace, meter: RowMeter) -> list[PromptRow]:
    """Choose `evaluation.rows` validation questions of the run's datasets by its seed; test rows are for no run."""
    if not spec.evaluation.rows:
        return []
    questions = questions_of(spec, workspace, meter, "validation")
    chance = random.Random(f"{spec.data.seed}/heldout")  # what earlier versions drew by: a resumed run asks the same
    chosen = sorted(chance.sample(range(len(questions)), min(spec.evaluation.rows, len(questions))))
    return [questions[place] for place in chosen]


def seen_messages(row: Row, row_fit: RowFit, spec: RunSpec) -> tuple[Message, ...]:
    """A row's turns as the model sees its image: where the spec says so, boxes are scaled like it."""
    scale = seen_scale(row_fit, spec)
    if scale is None:
        return row.messages
    return tuple(turn.model_copy(update={"content": scaled_boxes(turn.content, scale)}) for turn in row.messages)


def seen_scale(row_fit: RowFit, spec: RunSpec) -> Scale | None:
    """How boxes in a row's texts are stretched for the model; None where they stay as written.

    With several images nobody knows which one a box is on, so there they stay.
    """
    if spec.data.boxes == "as_written" or len(row_fit.images) != 1:
        return None
    return scale_of(*row_fit.images[0], spec.model.min_pixels, row_fit.max_pixels)
