"""Whether a file is what its name `.safetensors` says: its header is read and held against its size, no tensor is.

Source of the format: the README of the safetensors library; its own reader refuses the same, once torch is loaded.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

LENGTH_BYTES = 8  # the header's length, little-endian, stands before it
MAX_HEADER_BYTES = 25_000_000  # the largest released model needs 0.2 MB; the library itself reads up to 100 MB
MAX_DIMENSIONS = 16
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
    "C64": 64,
}  # fmt: skip
_PICKLES = {b"PK": "a zip of pickles", b"\x80": "a pickle"}  # how files of `torch.save` begin


class HeaderFault(Exception):
    """What is wrong, in words that follow the file's name."""


class Span(NamedTuple):
    """Where one tensor lies in the bytes behind the header."""

    begin: int
    end: int
    name: str
    numbers: int


def read_header(path: Path) -> dict[str, int]:
    """Read which tensors a file holds.

    Returns:
        How many numbers each tensor has, by its name.

    Raises:
        HeaderFault: the file is no safetensors, was cut off, or its header contradicts itself.
        OSError: it cannot be read.
    """
    file_bytes = path.stat().st_size
    with path.open("rb") as source:
        prefix = source.read(LENGTH_BYTES)
        length = int.from_bytes(prefix, "little")
        if len(prefix) < LENGTH_BYTES or LENGTH_BYTES + length > file_bytes or length > MAX_HEADER_BYTES:
            raise HeaderFault(_not_one(prefix, file_bytes, length))
        header = source.read(length)
    spans = [_span(name, entry) for name, entry in _entries(header).items()]
    _refuse_gaps(sorted(spans), file_bytes - LENGTH_BYTES - length)
    return {span.name: span.numbers for span in spans}


def _not_one(prefix: bytes, file_bytes: int, length: int) -> str:
    for magic, kind in _PICKLES.items():
        if prefix.startswith(magic):
            return f"is {kind} by another name"
    if len(prefix) < LENGTH_BYTES:
        return f"is no safetensors file: it has {file_bytes} bytes"
    return f"is cut off, or no safetensors file: it has {file_bytes:,} bytes and speaks of a header of {length:,}"


def _entries(header: bytes) -> dict[str, Any]:
    try:
        found = json.loads(header.decode(), object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise HeaderFault("has a header that is nested too deeply") from error
    except ValueError as error:
        raise HeaderFault("has a header that is not JSON") from error
    if not isinstance(found, dict):
        raise HeaderFault("has a header that is no table of tensors")
    note = found.pop("__metadata__", {})
    if not isinstance(note, dict) or not all(isinstance(value, str) for value in note.values()):
        raise HeaderFault("has metadata that are no texts")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise HeaderFault("names a tensor twice")
    return found


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _span(name: str, entry: object) -> Span:
    shown = name[:80]
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise HeaderFault(f"does not describe its tensor `{shown}`")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise HeaderFault(f"stores `{shown}` as `{str(dtype)[:20]}`, which is no number format")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise HeaderFault(f"gives `{shown}` a shape that is none")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise HeaderFault(f"gives `{shown}` a place that is none")
    numbers = math.prod(shape)
    if numbers * BITS[dtype] != 8 * (offsets[1] - offsets[0]):
        raise HeaderFault(f"gives `{shown}` {offsets[1] - offsets[0]:,} bytes, which its shape and format do not take")
    return Span(offsets[0], offsets[1], name, numbers)


def _are_counts(values: object) -> bool:
    """Whether these are whole numbers from 0 on, none of them absurd; true and false are none."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**53 for value in values)


def _refuse_gaps(spans: list[Span], present_bytes: int) -> None:
    """Every byte behind the header belongs to exactly one tensor."""
    reached = 0
    for span in spans:
        if span.begin != reached:
            what = "shares bytes with another tensor" if span.begin < reached else "lies behind bytes of no tensor"
            raise HeaderFault(f"is damaged: its tensor `{span.name[:80]}` {what}")
        reached = span.end
    if reached != present_bytes:
        raise HeaderFault(f"holds {present_bytes:,} bytes of tensors, and its header speaks of {reached:,}")
