"""From a checked picture file to the pixels that the vision tower sees; the same for training, evaluation and chat."""

from pathlib import Path

from PIL import Image, ImageOps
from qwen_vl_utils.vision_process import fetch_image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def open_picture(path: Path) -> Image.Image:
    """Decode a local picture, upright.

    Raises:
        OSError: not a picture of an allowed format, or cut off.
    """
    with Image.open(path, formats=FORMATS) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
    return upright


def sized_picture(picture: Image.Image, min_pixels: int, max_pixels: int) -> Image.Image:
    """Make a picture RGB and resize it to multiples of 28 px within the bounds, as the released code does.

    `fetch_image` opens any path or address it is given, so it is only ever handed a decoded picture.
    """
    sized: Image.Image = fetch_image({"image": picture, "min_pixels": min_pixels, "max_pixels": max_pixels})
    return sized
