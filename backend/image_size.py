"""How large an image is and the model sees it, how many tokens that costs, and boxes carried between both sizes."""

import math
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from backend.coordinates import Bounds, scaled_coordinates
from backend.errors import DatasetError

PATCH_PX = 14  # side of one vision patch
MERGE = 2  # the projector merges MERGE x MERGE patches into one token
CELL_PX = PATCH_PX * MERGE  # 28: both sides of a resized image are multiples of this
MAX_ASPECT_RATIO = 200
STORED_FORMATS = ("JPEG", "PNG", "WEBP")  # of the images of a dataset


def stored_image_size(path: Path, row_id: str) -> tuple[int, int]:
    """Read the size in px, (height, width), of a dataset's image from its header.

    Args:
        path: of the image.
        row_id: of a row that shows it, for the message.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with Image.open(path, formats=STORED_FORMATS) as image:
            return image.height, image.width
    except OSError as error:
        raise DatasetError(
            f"Image `{path.name}` of row `{row_id}` cannot be read", hint="Check the dataset, then import it again"
        ) from error


def resized(height: int, width: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Give the size in px, (height, width), at which the model sees an image.

    Both sides become multiples of 28 with the area within the bounds, the aspect ratio kept as nearly as that allows.

    Raises:
        DatasetError: a side is below 1 px, or one side is more than 200 times the other.

    Source: `smart_resize` in transformers, models/qwen2_vl/image_processing_qwen2_vl.py; a test holds them equal.
    """
    if min(height, width) < 1 or max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise DatasetError(
            f"An image of {width:,} x {height:,} px has an aspect ratio above {MAX_ASPECT_RATIO}",
            hint="Crop it, or cut it into several images",
        )
    rows, columns = round(height / CELL_PX) * CELL_PX, round(width / CELL_PX) * CELL_PX
    if rows * columns > max_pixels:
        shrink = math.sqrt((height * width) / max_pixels)
        rows = max(CELL_PX, math.floor(height / shrink / CELL_PX) * CELL_PX)
        columns = max(CELL_PX, math.floor(width / shrink / CELL_PX) * CELL_PX)
    elif rows * columns < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        rows = math.ceil(height * grow / CELL_PX) * CELL_PX
        columns = math.ceil(width * grow / CELL_PX) * CELL_PX
    return rows, columns


def tokens_for_image(height: int, width: int, min_pixels: int, max_pixels: int) -> int:
    """Count the language-model tokens that an image of this size in px occupies: one for each 28 x 28 px as resized.

    Raises:
        DatasetError: one side is more than 200 times the other.
    """
    rows, columns = resized(height, width, min_pixels, max_pixels)
    return (rows // CELL_PX) * (columns // CELL_PX)


class Scale(NamedTuple):
    """How much an image is stretched along each axis."""

    across: float
    down: float
    bounds: Bounds | None = None  # of the image that is stretched; None where coordinates may lie anywhere

    @property
    def inverse(self) -> "Scale":
        """From the model's size to the stored one."""
        return Scale(1 / self.across, 1 / self.down)


def scale_of(height: int, width: int, min_pixels: int, max_pixels: int) -> Scale:
    """How a stored image of this size in px is stretched for the model. Raises DatasetError, as `resized`."""
    rows, columns = resized(height, width, min_pixels, max_pixels)
    return Scale(columns / width, rows / height, Bounds(width, height))


def scaled_boxes(text: str, scale: Scale) -> str:
    """Scale the coordinates in a text that are pixels of its image; everything else stays as it is."""
    return scaled_coordinates(text, scale.across, scale.down, scale.bounds)
