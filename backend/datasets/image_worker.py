"""`python -m backend.datasets.image_worker INTO`: decode foreign images, one request a line, answers likewise.

A small program of its own, so that a bomb or a crash in a decoder ends only this process. A request is
`{"source": path, "keep": bool}`. With `keep` the image is stored as `INTO/<sha256>.<ext>`, upright, as RGB or grey;
without, only its header is read. The answer is a `ImageOutcome` of `backend.datasets.image_pool`.
"""

import hashlib
import io
import json
import math
import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from backend.datasets.limits import confine, max_unpacked_bytes
from backend.image_size import CELL_PX, MAX_ASPECT_RATIO

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
KEPT_AS_THEY_ARE = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
HALF_OF_16_BITS = 32_768
MAX_PIXELS = 50_000_000
MAX_FILE_BYTES = 256 * 1024**2
MEMORY_BYTES = 2 * 1024**3  # decoded, turned and converted copies of the largest image, and Python
NAME_DIGITS = 24  # of the sha256 of what is stored
_ORIENTATION = 0x0112
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_FOREIGN = (
    (b"%!PS", "EPS"), (b"%PDF", "PDF"), (b"8BPS", "PSD"), (b"SIMPLE", "FITS"), (b"<svg", "SVG"), (b"<?xml", "SVG"),
    (b"\x00\x00\x01\x00", "ICO"), (b"\x00\x00\x00\x0cjP", "JPEG 2000"), (b"\xc5\xd0\xd3\xc6", "EPS"),
)  # fmt: skip
_BOXES = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}  # behind "ftyp"


class ImageRefusal(Exception):
    """The image cannot be used: a code of the problem list and a message that follows its name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class DecodedImage(NamedTuple):
    """A decoded image, and whether its file may be stored as it is."""

    image: Image.Image
    extension: str  # of the file as it is; empty where it must be written anew
    warnings: list[tuple[str, str]]  # code, message
    turned: bytes = b""  # a JPEG that was turned, as it is stored


def prepare(source: Path, into: Path | None) -> dict[str, Any]:
    """Check one image and, where `into` is given, store it there.

    Raises:
        Refusal: it cannot be used.
        OSError: the disk refuses to take it.
    """
    raw = _read(source)
    with warnings.catch_warnings(record=True) as decoder_warnings, _opened(raw) as image:
        _refuse_size(*image.size)
        if into is None:
            return {"width": image.width, "height": image.height}
        upright = _decoded(image, decoder_warnings)
    if upright.extension:
        content, extension = raw, upright.extension
    else:
        content, extension = (upright.turned, "jpg") if upright.turned else (_as_png(upright.image), "png")
    if len(content) > max_unpacked_bytes(len(raw)):
        raise ImageRefusal("IMG_TOO_LARGE", f"takes {len(raw):,} bytes and {len(content):,} once it is converted")
    name = f"{hashlib.sha256(content).hexdigest()[:NAME_DIGITS]}.{extension}"
    _store(content, into / name)
    return {
        "width": upright.image.width,
        "height": upright.image.height,
        "stored": name,
        "bytes": len(content),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "warnings": upright.warnings,
    }


def _read(source: Path) -> bytes:
    try:
        if source.stat().st_size > MAX_FILE_BYTES:
            raise ImageRefusal("IMG_TOO_LARGE", f"is larger than {MAX_FILE_BYTES >> 20} MiB")
        raw = source.read_bytes()
    except OSError as error:
        raise ImageRefusal("IMG_UNDECODABLE", f"cannot be read: {error.strerror}") from error
    if not raw:
        raise ImageRefusal("IMG_UNDECODABLE", "is an empty file")
    return raw


def _opened(raw: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(raw), formats=FORMATS)
    except UnidentifiedImageError as error:
        kind = next((kind for magic, kind in _FOREIGN if raw.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(magic)), "")
        kind = _BOXES.get(raw[8:12], kind) if raw[4:8] == b"ftyp" else kind
        if kind:
            raise ImageRefusal("IMG_FORMAT_REFUSED", f"is a {kind} file") from error
        raise ImageRefusal("IMG_UNDECODABLE", "is not an image that can be read") from error
    except Exception as error:  # a decoder may raise anything, and says it about this image
        raise ImageRefusal("IMG_UNDECODABLE", f"cannot be read: {error}") from error


def _refuse_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageRefusal(
            "IMG_TOO_LARGE", f"has {width:,} x {height:,} px; the limit is {MAX_PIXELS // 10**6} megapixels"
        )
    if min(width, height) < 1 or max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise ImageRefusal(
            "IMG_ASPECT", f"has {width:,} x {height:,} px: one side is more than {MAX_ASPECT_RATIO} times the other"
        )


def _decoded(image: Image.Image, decoder_warnings: list[warnings.WarningMessage]) -> DecodedImage:
    """Load an image, turn and convert it; what the decoder warns of on the way shows in `decoder_warnings`."""
    remarks: list[tuple[str, str]] = []
    is_animated = image.format != "MPO" and getattr(image, "is_animated", False)
    _load(image)
    transpose, is_sound = _orientation(image)
    if decoder_warnings or not is_sound:
        remarks.append(("IMG_METADATA", "has broken metadata"))
    if is_animated:
        remarks.append(("IMG_ANIMATED", f"has {getattr(image, 'n_frames', 2)} frames"))
    is_plain = image.mode in ("RGB", "L") and "transparency" not in image.info
    extension = KEPT_AS_THEY_ARE.get(image.format or "", "") if is_plain and not remarks and transpose is None else ""
    if not is_plain:
        remarks.append(("IMG_CONVERTED", _how_converted(image)))
    plain, turned = image.copy() if is_plain else _converted(image), b""
    if transpose is not None:
        remarks.append(("IMG_ROTATED", "is stored lying on its side, with a note to turn it"))
        plain = plain.transpose(transpose)
        turned = _as_jpeg(plain, image) if is_plain and image.format in ("JPEG", "MPO") else b""
    if min(plain.size) < CELL_PX:
        remarks.append(("IMG_SMALL", f"has {plain.width} x {plain.height} px, less than {CELL_PX} px on one side"))
    return DecodedImage(plain, extension, remarks, turned)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except MemoryError as error:
        raise ImageRefusal("IMG_TOO_LARGE", "needs too much memory to decode") from error
    except Exception as error:  # a decoder may raise anything, and says it about this image
        if "truncated" in str(error) or "Truncated" in str(error):
            raise ImageRefusal("IMG_TRUNCATED", "is cut off") from error
        raise ImageRefusal("IMG_UNDECODABLE", f"cannot be decoded: {error}") from error


def _orientation(image: Image.Image) -> tuple[Image.Transpose | None, bool]:
    """How the image must be turned, and whether its metadata could be read."""
    try:
        return _TRANSPOSES.get(image.getexif().get(_ORIENTATION, 1)), True
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, AttributeError, struct.error):
        return None, False


def _converted(image: Image.Image) -> Image.Image:
    """Make RGB: transparent pixels become white, 16-bit and float values are scaled instead of clipped."""
    if _is_deep_grey(image):
        low, high = _grey_range(image)
        factor = 255 / (high - low)
        return image.convert("F").point(lambda value: value * factor - low * factor).convert("L").convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        pasted = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, pasted).convert("RGB")
    return image.convert("RGB")


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _grey_range(image: Image.Image) -> tuple[float, float]:
    """The values that become black and white: all of 16 bits where they are used, else the smallest and the largest.

    X-rays, CT slices and depth maps hold 12 bits in 16, which would be nearly black.

    Raises:
        ImageRefusal: it holds values that are no numbers.
    """
    low, high = (float(value) for value in image.convert("F").getextrema())  # type: ignore[arg-type]  # of one band
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageRefusal("IMG_UNDECODABLE", "holds values that are no numbers")
    if image.mode.startswith("I;16") and (high - low >= HALF_OF_16_BITS or high == low):
        return 0.0, 65_280.0  # which makes a grey of 8 bits of the upper byte
    return (low, high) if high > low else (min(0.0, low), max(1.0, high))


def _how_converted(image: Image.Image) -> str:
    if not _is_deep_grey(image):
        return f"is of mode {image.mode}"
    low, high = _grey_range(image)
    return f"is grey of mode {image.mode}; {low:,g} to {high:,g} became black to white"


def _as_jpeg(image: Image.Image, original: Image.Image) -> bytes:
    """Write a turned JPEG with the quality that it had."""
    sink = io.BytesIO()
    quality: dict[str, Any] = {"qtables": getattr(original, "quantization", None)}
    if image.mode == "RGB":
        quality["subsampling"] = max(0, JpegImagePlugin.get_sampling(original))
    image.info.clear()  # as below
    image.save(sink, "JPEG", **quality)
    return sink.getvalue()


def _as_png(image: Image.Image) -> bytes:
    image.info.clear()  # no colour profile, comment or position travels on
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def _store(content: bytes, target: Path) -> None:
    if target.exists():
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with partial.open("wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(target)


def _answer(request: dict[str, Any], into: Path) -> dict[str, Any]:
    try:
        return prepare(Path(request["source"]), into if request["keep"] else None)
    except ImageRefusal as refusal:
        return {"code": refusal.code, "message": refusal.message}
    except MemoryError:
        return {"code": "IMG_TOO_LARGE", "message": "needs too much memory to decode"}
    except OSError as error:
        return {"errno": error.errno or 0, "message": error.strerror or str(error)}


def main(into: str) -> None:
    """Answer requests until stdin ends. Decoders that print do so into the log, not between the answers."""
    confine(MEMORY_BYTES)
    Image.MAX_IMAGE_PIXELS = None  # the limit is applied above, with the size in its message
    warnings.simplefilter("always")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answers.write('{"ready":true}\n')
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line), Path(into))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
