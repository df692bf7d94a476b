"""From a row to what the model reads: token ids, labels, rotary positions and the pixels of its images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from qwen_vl_utils.vision_process import fetch_image
from transformers import AutoProcessor

from backend.conversation import Message, render
from backend.errors import CheckpointError, DatasetError

MERGE = 2  # the merger joins 2 x 2 patches into one token
PATCH_PX = 14
FRAMES = 2  # a patch spans two frames; a still image shows the same twice
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
IGNORED = -100
CACHE_BYTES = 512 << 20  # patches kept in memory, so that later epochs skip decoding


def rope_positions(token_types: np.ndarray, grids: np.ndarray) -> np.ndarray:
    """Compute the positions of one conversation with still images.

    Text counts up on all axes alike; an image keeps its time and spans its merged grid; what follows goes on behind
    the largest position so far.

    Args:
        token_types: (T,), 1 on image tokens, else 0.
        grids: (N, 3), frames, patch rows, patch columns of each image in order; frames are 1.

    Returns:
        (3, T) of int64.

    Source: `Qwen2_5_VLModel.get_rope_index` in transformers; a test compares the two.
    """
    total = len(token_types)
    positions = np.empty((3, total), dtype=np.int64)
    index = following = 0
    for _, rows, columns in grids:
        text = int(np.argmax(token_types[index:] == 1))
        positions[:, index : index + text] = following + np.arange(text)
        index, following = index + text, following + text
        height, width = rows // MERGE, columns // MERGE
        cells = int(height * width)
        positions[0, index : index + cells] = following
        positions[1, index : index + cells] = following + np.repeat(np.arange(height), width)
        positions[2, index : index + cells] = following + np.tile(np.arange(width), height)
        index, following = index + cells, following + int(max(height, width))
    positions[:, index:] = following + np.arange(total - index)
    return positions


def open_image(path: Path) -> Image.Image:
    """Decode a local image, upright.

    Raises:
        OSError: not an image of an allowed format, or cut off.
    """
    with Image.open(path, formats=FORMATS) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
    return upright


def sized_image(image: Image.Image, min_pixels: int, max_pixels: int) -> Image.Image:
    """Make an image RGB and resize it to multiples of 28 px within the bounds, as the released code does.

    `fetch_image` opens any path or address it is given, so it is only ever handed a decoded image.
    """
    sized: Image.Image = fetch_image({"image": image, "min_pixels": min_pixels, "max_pixels": max_pixels})
    return sized


def cut_patches(sized: Image.Image, mean: Sequence[float], deviation: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Normalise a sized image and cut it into patches, in the order in which the merger joins them.

    numpy instead of the processor's torch operations: a seventh of the time for small images, and no second team of
    threads beside the one that trains.

    Args:
        sized: as `sized_image` makes it.
        mean: of red, green and blue in [0, 1], from the image processor.
        deviation: likewise.

    Returns:
        Patches (rows x columns, 1176) of float32 and the grid (3,): frames, patch rows, patch columns.

    Source: `Qwen2VLImageProcessor` in transformers; a test compares the two.
    """
    white = np.float32(255)
    pixels = np.asarray(sized, dtype=np.float32)
    pixels = (pixels - np.asarray(mean, np.float32) * white) / (np.asarray(deviation, np.float32) * white)
    rows, columns = pixels.shape[0] // PATCH_PX, pixels.shape[1] // PATCH_PX
    cells = pixels.reshape(rows // MERGE, MERGE, PATCH_PX, columns // MERGE, MERGE, PATCH_PX, 3)
    ordered = cells.transpose(0, 3, 1, 4, 6, 2, 5)  # cell row, cell column, row, column, channel, y, x
    patches = np.repeat(ordered[:, :, :, :, :, None], FRAMES, axis=5)
    return patches.reshape(rows * columns, -1), np.array([1, rows, columns])


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation, ready for the model. T tokens, P patches, N images."""

    input_ids: torch.Tensor  # (T,)
    labels: torch.Tensor  # (T,), IGNORED where nothing is learned; aligned with input_ids, not shifted
    token_types: torch.Tensor  # (T,), 1 on image tokens
    positions: torch.Tensor  # (3, T): time, height, width
    patches: torch.Tensor  # (P, 1176)
    grids: torch.Tensor  # (N, 3): frames, patch rows, patch columns
    source: int = 0  # which of the run's datasets it comes from

    @property
    def tokens(self) -> int:
        """How many tokens the language model reads."""
        return int(self.input_ids.shape[0])


class Encoder:
    """Turns conversations into samples with one model's tokenizer and one pair of pixel bounds."""

    def __init__(self, folder: Path, min_pixels: int, max_pixels: int) -> None:
        """Load the processor from a model folder. Raises CheckpointError where that cannot be done."""
        try:
            self.processor = AutoProcessor.from_pretrained(folder)
        except Exception as error:  # the libraries below raise bare ones for a file that they cannot read
            why = next(iter(str(error).splitlines()), type(error).__name__)[:200]
            raise CheckpointError(
                f"The tokenizer or processor of `{folder.name}` cannot be loaded: {why}",
                hint="Take a folder that holds the whole model, as it was saved",
            ) from error
        self.tokenizer = self.processor.tokenizer
        # the one below transformers' own: quicker, and two threads may use it at once
        self._plain_tokenizer = self.tokenizer.backend_tokenizer
        self.min_pixels, self.max_pixels = min_pixels, max_pixels
        self.image_id = _single(self.tokenizer, "<|image_pad|>")
        self.end_id = _single(self.tokenizer, "<|im_end|>")
        self._cache: dict[tuple[Path, int], tuple[torch.Tensor, torch.Tensor]] = {}
        self._cached_bytes = 0

    def encode(
        self,
        messages: tuple[Message, ...],
        images: list[Path],
        *,
        for_answer: bool = False,
        name: str = "sample",
        max_pixels: int | None = None,
    ) -> Sample:
        """Render, tokenise, expand image tokens, and mark what is learned.

        Args:
            messages: the turns; one `<image>` for each image, in order.
            images: checked local files.
            for_answer: end with an open assistant turn instead of learning from the last one.
            name: how errors call this conversation.
            max_pixels: a lower bound than the run's own, for a conversation that would be too long.

        Raises:
            DatasetError: images and placeholders differ in number, or an image cannot be read.
        """
        segments = render(messages, for_answer=for_answer)
        text = "".join(segment.text for segment in segments)
        encoded = self._plain_tokenizer.encode(text, add_special_tokens=False)
        ids = np.asarray(encoded.ids, dtype=np.int64)
        starts = np.asarray([start for start, _ in encoded.offsets], dtype=np.int64)
        learned = np.zeros(len(text) + 1, dtype=bool)
        position = 0
        for segment in segments:
            learned[position : position + len(segment.text)] = segment.is_learned
            position += len(segment.text)
        labels = np.where(learned[starts], ids, IGNORED)
        tiles = [self._patches(path, name, max_pixels or self.max_pixels) for path in images]
        ids, labels = self._expand(ids, labels, [grid for _, grid in tiles], name)
        types = (ids == self.image_id).astype(np.int64)
        # numpy here: torch operations in a thread that prepares would take threads from the one that trains
        grids = np.stack([grid.numpy() for _, grid in tiles]) if tiles else np.zeros((0, 3), dtype=np.int64)
        patches = np.concatenate([patch.numpy() for patch, _ in tiles]) if tiles else np.zeros((0, 1176), np.float32)
        return Sample(
            input_ids=torch.from_numpy(ids),
            labels=torch.from_numpy(labels),
            token_types=torch.from_numpy(types),
            positions=torch.from_numpy(rope_positions(types, grids)),
            patches=torch.from_numpy(patches),
            grids=torch.from_numpy(grids),
        )

    def _expand(
        self, ids: np.ndarray, labels: np.ndarray, grids: list[torch.Tensor], name: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Repeat each image token as often as its image has cells; the only place that does."""
        places = np.flatnonzero(ids == self.image_id)
        if len(places) != len(grids):
            raise DatasetError(
                f"`{name}` shows {len(grids)} images but its text has {len(places)} `<image>` places",
                hint="Each image needs exactly one `<image>` in the text of a user turn",
            )
        repeats = np.ones(len(ids), dtype=np.int64)
        for place, grid in zip(places, grids, strict=True):
            repeats[place] = int(grid.prod()) // 4
        labels = np.where(ids == self.image_id, IGNORED, labels)
        return np.repeat(ids, repeats), np.repeat(labels, repeats)

    def blank(self) -> Sample:
        """An image of four patches on which nothing is learned, for a micro-batch that must not be without one.

        It stands in the row as a sample of its own, so it changes nothing of the others and has no gradient but zero.
        """
        marks = [_single(self.tokenizer, mark) for mark in ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")]
        types, grids = np.array([0, 1, 0]), torch.tensor([[1, 2, 2]])
        return Sample(
            torch.tensor(marks),
            torch.full((3,), IGNORED),
            torch.from_numpy(types),
            torch.from_numpy(rope_positions(types, grids.numpy())),
            torch.zeros((4, 1176)),
            grids,
        )

    def _patches(self, path: Path, name: str, max_pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (P, 1176) and grid (3,) of an image, from memory where they are."""
        if (path, max_pixels) in self._cache:
            return self._cache[path, max_pixels]
        try:
            image = open_image(path)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DatasetError(
                f"Image `{path.name}` of `{name}` cannot be read: {error}",
                hint="Check the dataset, then import it again",
            ) from error
        patches_and_grid = self.patches_of(image, max_pixels)
        size = patches_and_grid[0].numel() * patches_and_grid[0].element_size()
        if self._cached_bytes + size <= CACHE_BYTES:
            self._cache[path, max_pixels] = patches_and_grid
            self._cached_bytes += size
        return patches_and_grid

    def patches_of(self, image: Image.Image, max_pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (P, 1176) and grid (3,) of a decoded image."""
        sized = sized_image(image, self.min_pixels, max_pixels)
        normal = self.processor.image_processor
        patches, grid = cut_patches(sized, normal.image_mean, normal.image_std)
        return torch.from_numpy(patches), torch.from_numpy(grid)


def _single(tokenizer: Any, token: str) -> int:
    ids = tokenizer(token, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise CheckpointError(f"The tokenizer splits `{token}`", hint="Take a model whose tokenizer is Qwen2.5-VL's")
    return int(ids[0])
