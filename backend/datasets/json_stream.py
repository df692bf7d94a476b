"""Read the elements of a long JSON list one at a time, so that a file of a gigabyte needs the memory of one row."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from backend.datasets.encodings import Encoding
from backend.datasets.json_values import HALF_CHARACTER, MAX_VALUES, JsonFault, Parsed, decoder, refuse_many

CHUNK_CHARACTERS = 1 << 20
MAX_ELEMENT_CHARACTERS = 64 << 20
_BLANKS = re.compile(r"[ \t\r\n]*")


def list_elements(path: Path, encoding: Encoding) -> Iterator[Parsed]:
    """Yield the elements of the JSON list that the file holds.

    Raises:
        JsonFault: where the syntax is wrong, or an element is longer than 64 Mi characters; earlier ones were yielded.
    """
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as source:
        window = _Window(iter(lambda: source.read(CHUNK_CHARACTERS), ""))
        window.take("[")
        if window.next() != "]":
            yield window.element()
            while window.next() == ",":
                window.take(",")
                yield window.element()
        window.take("]")
        if window.next():
            raise window.fault("Extra data")


class _Window:
    """The part of a text that is looked at, and where it stands."""

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._text, self._at = "", 0
        self._line = 1  # of the first character of `_text`
        self._has_more = True

    def next(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def take(self, mark: str) -> None:
        """Step over `mark`. Raises JsonFault where something else stands there."""
        if self.next() != mark:
            raise self.fault(f"Expecting `{mark}`")
        self._at += 1

    def element(self) -> Parsed:
        """Decode the value that starts here, reading on until it is whole. Raises JsonFault."""
        self.next()
        self._forget()
        while True:
            doubled: list[str] = []
            try:
                value, end = decoder(doubled).raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) > MAX_ELEMENT_CHARACTERS:
                    raise JsonFault("LINE_TOO_LONG", "A row is longer than 64 Mi characters", self._line) from error
                if not self._read_as_much_again():
                    raise self.fault(error.msg, error.pos) from error
            except RecursionError as error:
                raise JsonFault("JSON_TOO_DEEP", "It is nested too deeply", self._line) from error
            else:
                if end < len(self._text) or not self._read():  # a number at the very end may go on
                    may_be_broken = bool(HALF_CHARACTER.search(self._text, self._at, end))
                    self._at = end
                    return Parsed(value, tuple(doubled), may_be_broken)

    def fault(self, message: str, position: int = -1) -> JsonFault:
        """Say where in the file something is wrong."""
        place = self._at if position < 0 else position
        column = place - self._text.rfind("\n", 0, place)
        line = self._line + self._text.count("\n", 0, place)
        return JsonFault("JSON_INVALID", f"{message} at column {column}", line)

    def _forget(self) -> None:
        if self._at > CHUNK_CHARACTERS:
            self._line += self._text.count("\n", 0, self._at)
            self._text, self._at = self._text[self._at :], 0

    def _read(self) -> bool:
        chunk = next(self._chunks, "") if self._has_more else ""
        self._has_more = bool(chunk)
        self._text += chunk
        return self._has_more

    def _read_as_much_again(self) -> bool:
        """Double the window, so that a long element is not decoded once for each chunk. Raises JsonFault."""
        wanted = 2 * len(self._text)
        grew = False
        while len(self._text) < wanted and self._read():
            grew = True
        refuse_many(self._text, MAX_VALUES, self._line)  # more than half of it is one element, decoded next
        return grew
