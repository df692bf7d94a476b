"""Names that become folders: readable, path-safe, and never mixed up."""

import re
import unicodedata
from datetime import datetime
from typing import NewType

DatasetName = NewType("DatasetName", str)
RunId = NewType("RunId", str)

MAX_SLUG = 48
_SAFE = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


def slug(text: str, *, fallback: str) -> str:
    """Turn any text into a lower-case, path-safe name of at most 48 characters; `fallback` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].strip("-")
    return name or fallback


def is_safe_name(name: str) -> bool:
    """Tell whether `name` may be a folder's name: no separators, no leading dot or dash, no reserved form."""
    return bool(_SAFE.fullmatch(name)) and ".." not in name and len(name) <= 80


def new_run_id(name: str, now: datetime) -> RunId:
    """Build `20261123-171500-receipts-lora` from a run's name and its moment of creation."""
    return RunId(f"{now:%Y%m%d-%H%M%S}-{slug(name, fallback='run')}")
