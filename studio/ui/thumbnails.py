"""Small copies of images that the studio has checked and written itself."""

import io
from pathlib import Path
from typing import IO

from PIL import Image

THUMBNAIL_PX = 320  # the longer side


def thumbnail(source: Path | IO[bytes]) -> bytes:
    """Write a WebP of at most 320 px from a stored image. Raises OSError where it cannot be read."""
    with Image.open(source, formats=("JPEG", "PNG", "WEBP")) as image:
        image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        sink = io.BytesIO()
        image.convert("RGB").save(sink, "WEBP", quality=82)
    return sink.getvalue()
