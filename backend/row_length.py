"""How long a row is as the model reads it, and whether it fits: known before anything is loaded or trained."""

from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from backend.conversation import Row, render
from backend.errors import CheckpointError
from backend.image_size import stored_image_size, tokens_for_image
from backend.spec.training import CELL, DataKnobs, ModelKnobs


class RowSize(NamedTuple):
    """What decides a row's length, whatever the image bounds are."""

    text: int  # tokens, one of them for each image
    images: tuple[tuple[int, int], ...]  # (height, width) in px as stored

    def tokens(self, min_pixels: int, max_pixels: int) -> int:
        """All tokens of the row between these bounds."""
        cells = sum(tokens_for_image(*size, min_pixels, max_pixels) for size in self.images)
        return self.text - len(self.images) + cells


class RowFit(NamedTuple):
    """How a row is learned from."""

    tokens: int
    max_pixels: int  # the run's own bound, or a lower one that lets this row fit
    is_shrunk: bool
    images: tuple[tuple[int, int], ...] = ()  # (height, width) in px as stored


class RowMeter:
    """Measures rows with one model's tokenizer, reading only the headers of images."""

    def __init__(self, model_folder: Path) -> None:
        """Load the tokenizer. Raises CheckpointError where there is none."""
        path = model_folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(
                f"`{model_folder.name}` has no tokenizer.json", hint="Take a folder that holds the whole model"
            )
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()  # a trainer that cut or padded its texts leaves that in the file
        self._tokenizer.no_padding()

    def size(self, row: Row, folder: Path) -> RowSize:
        """Measure one row of the dataset in `folder`. Raises DatasetError for an image that cannot be read."""
        text = "".join(segment.text for segment in render(row.messages))
        tokens = len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return RowSize(tokens, tuple(stored_image_size(folder / name, row.id) for name in row.images))


def fit(size: RowSize, data: DataKnobs, model: ModelKnobs) -> RowFit | None:
    """Say how a row fits into `data.max_tokens`; None where it is left out.

    With `too_long` shrink, the images of a longer row share what its text leaves, down to the smallest size allowed.
    """
    tokens = size.tokens(model.min_pixels, model.max_pixels)
    if tokens <= data.max_tokens:
        return RowFit(tokens, model.max_pixels, is_shrunk=False, images=size.images)
    if data.too_long == "skip" or not size.images:
        return None
    text_tokens = size.text - len(size.images)
    image_max_pixels = (data.max_tokens - text_tokens) // len(size.images) * CELL
    if image_max_pixels < model.min_pixels:
        return None
    shrunk_tokens = size.tokens(model.min_pixels, image_max_pixels)
    return (
        RowFit(shrunk_tokens, image_max_pixels, is_shrunk=True, images=size.images)
        if shrunk_tokens <= data.max_tokens
        else None
    )
