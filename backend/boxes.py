"""Boxes in texts: from the pixels of a stored picture to those of the picture as the model sees it, and back.

Qwen2.5-VL names boxes in absolute pixels of the resized picture, so a box must be scaled as its picture is.
"""

import re
from typing import NamedTuple

from backend.vision_tokens import resized

_NUMBER = r"\s*-?\d+(?:\.\d+)?\s*"
_BOX = re.compile(rf"\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]")


class Scale(NamedTuple):
    """How much a picture is stretched along each axis."""

    across: float
    down: float

    @property
    def back(self) -> "Scale":
        """The way back."""
        return Scale(1 / self.across, 1 / self.down)


def scale_of(height: int, width: int, min_pixels: int, max_pixels: int) -> Scale:
    """How a stored picture of this size in px is stretched for the model. Raises DatasetError, as `resized`."""
    rows, columns = resized(height, width, min_pixels, max_pixels)
    return Scale(columns / width, rows / height)


def scaled_boxes(text: str, scale: Scale) -> str:
    """Scale every `[left, top, right, bottom]` in a text, to whole pixels; everything else stays as it is."""

    def scaled(found: re.Match[str]) -> str:
        numbers = [float(number) for number in found.groups()]
        factors = (scale.across, scale.down, scale.across, scale.down)
        whole = (str(round(number * factor)) for number, factor in zip(numbers, factors, strict=True))
        return f"[{', '.join(whole)}]"

    return _BOX.sub(scaled, text)
