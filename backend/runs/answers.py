"""`answers/`: what each contestant of an evaluation answered, a line a row, written as the answers come.

While a contestant answers, lines stand in the order of their coming; once it has answered all, in the order of the
rows and with every score.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.conversation import Message
from backend.jsonl import write_atomically


class Answer(BaseModel):
    """One row's answer of one contestant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: int  # among the rows asked, from 0
    row: str
    dataset: str
    images: tuple[str, ...]  # of the row, relative to the dataset's folder
    asked: tuple[Message, ...]
    gold: str  # as the dataset has it
    references: tuple[str, ...] = ()  # other accepted answers
    given: str  # boxes in the pixels that those of `gold` are in
    raw: str = ""  # as the model wrote it, where that differs
    frame: tuple[int, int] | None = None  # (width, height) in px of the first picture, in which boxes are
    tokens: int  # of the answer
    is_cut: bool  # it did not end within the longest answer allowed
    scores: dict[str, float | None]  # of each metric that a row alone has; None where it does not apply


class AnswerWriter:
    """Appends the answers of one contestant; its file's one writer."""

    def __init__(self, folder: Path, number: int) -> None:
        """Begin the file of the contestant of that number, from 0. Raises OSError where the disk refuses."""
        folder.mkdir(exist_ok=True)
        self._path = answers_path(folder, number)
        self._handle = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def add(self, answers: Sequence[Answer]) -> None:
        """Append some answers at once."""
        left = memoryview(_lines(answers))
        while left:  # a disk that is nearly full takes less than it is given
            left = left[os.write(self._handle, left) :]

    def finish(self, answers: Sequence[Answer]) -> None:
        """Replace the file by all answers, in the order of the rows."""
        write_atomically(self._path, _lines(sorted(answers, key=lambda answer: answer.place)))


def read_answers(folder: Path, number: int) -> list[Answer]:
    """What one contestant has answered so far, in the order of the rows; empty before its first answer."""
    path = answers_path(folder, number)
    lines = path.read_bytes().split(b"\n") if path.is_file() else []  # in one go: it may be replaced meanwhile
    return sorted(_readable(lines), key=lambda answer: answer.place)


def _readable(lines: Sequence[bytes]) -> Iterator[Answer]:
    """The lines that are answers; one that a cut-off tore is none."""
    for line in lines:
        with suppress(ValidationError):
            yield Answer.model_validate_json(line)


def answers_path(folder: Path, number: int) -> Path:
    """The file of the contestant of that number."""
    return folder / f"{number}.jsonl"


def _lines(answers: Sequence[Answer]) -> bytes:
    return "".join(f"{answer.model_dump_json()}\n" for answer in answers).encode("utf-8", "replace")
