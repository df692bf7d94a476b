"""In which encoding a text file is written: UTF-8 unless it plainly is not."""

import codecs
from pathlib import Path
from typing import NamedTuple

CHUNK_BYTES = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Encoding(NamedTuple):
    """How to decode a file. Where it does not fit, some bytes decode to lone surrogates (`surrogateescape`)."""

    name: str
    fits: bool
    errors: str = "surrogateescape"


def encoding_of(path: Path) -> Encoding:
    """Tell how to decode `path`: by its byte-order mark, else UTF-8, else GB18030 where that explains it better.

    A UTF-8 file with a few bad bytes stays UTF-8, so that its good lines can be read; `fits` is false then.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as source:
        head = source.read(4)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked == "utf-16":
        return Encoding(marked, fits=True, errors="replace")
    name = marked or "utf-8"
    if _fits(path, name):
        return Encoding(name, fits=True)
    if not marked and _is_hardly_utf8(path) and _fits(path, "gb18030"):
        return Encoding("gb18030", fits=True)
    return Encoding(name, fits=False)


def has_bad_bytes(text: str) -> bool:
    """Tell whether a text decoded with `surrogateescape` had bytes that fit no character."""
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_hardly_utf8(path: Path) -> bool:
    """Read as UTF-8, more characters are broken than whole ones lie beyond ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    broken = beyond_ascii = 0
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            text = decoder.decode(chunk)
            broken += text.count("\N{REPLACEMENT CHARACTER}")
            beyond_ascii += len(text) - len(text.encode("ascii", "ignore"))
    return broken > beyond_ascii - broken
