"""Pictures that somebody asks a model about: looked at before a program is started for them."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from backend.datasets.codes import CODES
from backend.datasets.pictures import PicturePool
from backend.errors import DatasetError
from backend.vision_tokens import MAX_ASPECT_RATIO

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 50_000_000


def refuse_unreadable(path: Path) -> None:
    """Look at a picture's header.

    Raises:
        DatasetError: missing, not a picture of an allowed format, too large, or too long for its height.
    """
    if not path.is_file():
        raise DatasetError(f"There is no picture `{path}`", hint="Give the path of a JPEG, PNG or WebP file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is judged below
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"`{path.name}` is not a picture that can be read", hint="Save it as JPEG, PNG or WebP"
        ) from error
    if width * height > MAX_PIXELS:
        raise DatasetError(
            f"`{path.name}` has {width:,} x {height:,} pixels", hint=f"Scale it below {MAX_PIXELS // 10**6} megapixels"
        )
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise DatasetError(
            f"`{path.name}` is {width} x {height} pixels", hint=f"One side may be {MAX_ASPECT_RATIO} times the other"
        )


def as_imported(paths: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """Store pictures in `folder` upright and in plain colours, as an import does: so a model sees what it learned from.

    Returns:
        The stored ones, in order.

    Raises:
        DatasetError: as `refuse_unreadable`, or one of them cannot be decoded.
    """
    for path in paths:
        refuse_unreadable(path)
    if not paths:
        return ()
    outcomes = dict(PicturePool(folder).prepare(list(dict.fromkeys(paths))))
    for path, outcome in outcomes.items():
        if outcome.code:
            raise DatasetError(f"`{path.name}` {outcome.message}", hint=CODES[outcome.code].hint)
    return tuple(folder / outcomes[path].stored for path in paths)
