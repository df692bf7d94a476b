"""The images that one cell of a row names, however they are written there; and images that stand in it themselves."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from backend.datasets.problems import quoted
from backend.datasets.turns import RowFault, image_path, listed
from backend.datasets.upload import is_image

MAX_LISTED_CHARACTERS = 65_536  # of a list that is written as text
MAX_PATH_CHARACTERS = 4_096
_QUOTED = r"""'[^']*'|"[^"]*\""""
_WRITTEN_LIST = re.compile(  # each run of blanks can be read in one way only
    rf"\s*(?:array\()?[\[(]\s*(?:{_QUOTED})(?:\s*(?:,\s*)?(?:{_QUOTED}))*\s*(?:,\s*)?[\])].{{0,40}}", re.DOTALL
)
_EACH = re.compile(_QUOTED)
_SEPARATORS = re.compile(r"[,;|\n]|\s+")
_TAG = re.compile(
    r"""<img>([^<>]{1,4096})</img>|<img\s[^<>]{0,512}?src=["']([^"'<>]{1,4096})["'][^<>]{0,512}>"""
    r"""|!\[[^\[\]]{0,512}\]\(([^()\s]{1,4096})\)"""
)
_DATA = re.compile(r"data:(?P<kind>[\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*?;base64,", re.IGNORECASE)
_MAGIC = ("iVBORw0K", "/9j/", "R0lGOD", "UklGR", "Qk", "SUkq", "TU0AK")  # PNG, JPEG, GIF, WebP, BMP, TIFF in base64
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")


def images_in_cell(value: Any, field: str, is_uploaded: Callable[[str], bool]) -> list[str]:
    """Name the images of a cell in their order.

    Args:
        value: a path, an image as `data:` or base64, an object that names one, a list of these, or a text that lists
            paths: as Python or numpy print it, or with commas, semicolons, bars, blanks or line ends between them.
        field: what the cell is called.
        is_uploaded: tells whether an uploaded file has exactly this name, which then is one name, commas or not.

    Raises:
        RowFault: it names no image, or looks like a list and cannot be read as one.
    """
    value = listed(value)
    if isinstance(value, list):
        return [image_path(item, f"{field}[{number}]") for number, item in enumerate(value)]
    if value in (None, "", {}):
        return []
    if not isinstance(value, str):
        return [image_path(value, field)]
    if not value.strip():
        return []
    if not _SEPARATORS.search(value) and value[0] not in "[({<!":
        return [value]  # nothing in it tells two paths apart
    if is_embedded(value) or is_uploaded(value):
        return [value]
    return _listed_paths(value, field)


def is_embedded(value: str) -> bool:
    """Tell whether a text is an image itself, as a `data:` address or as bare base64."""
    if value[:5].lower() == "data:":
        return True
    return value.startswith(_MAGIC) and bool(_BASE64.fullmatch(value[:4096].rstrip("=")[:4096]))


def embedded_image(value: str, field: str = "") -> bytes:
    """Decode an image that stands in a row. Raises RowFault where it cannot be decoded, or is none."""
    head = _DATA.match(value)
    kind = (head["kind"] or "") if head else "image/*"
    if not kind.lower().startswith("image/"):
        raise RowFault("IMG_EMBEDDED", f"It is `{quoted(value, 40)}`, which is no image in base64", field)
    encoded = re.sub(r"\s+", "", value[head.end() :] if head else value)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as error:
        message = f"Its base64 of {len(encoded):,} characters is broken or cut off"
        raise RowFault("IMG_EMBEDDED", message, field) from error


def _listed_paths(text: str, field: str) -> list[str]:
    if len(text) <= MAX_LISTED_CHARACTERS and (tags := _TAG.findall(text)):
        return [next(filter(None, tag)).strip() for tag in tags]
    if len(text) <= MAX_LISTED_CHARACTERS and _WRITTEN_LIST.fullmatch(text):
        return [each[1:-1] for each in _EACH.findall(text)]
    if text.lstrip().startswith(("[", "{")) and len(text.split()) > 1:
        message = f"`{field}` looks like a list and cannot be read as one: `{quoted(text, 60)}`"
        raise RowFault("IMG_REFERENCE", message, field)
    parts = [part for part in _SEPARATORS.split(text) if part]
    if len(parts) > 1 and len(text) <= MAX_LISTED_CHARACTERS and all(map(is_image, parts)):
        return parts
    return [text]
