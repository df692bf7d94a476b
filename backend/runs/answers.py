"""Answers that a run's models gave, a line a row: `predictions/`, `answers/` and `completions/`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.conversation import Message
from backend.jsonl import all_lines, write_atomically

_PREFIX = "step-"


class Prediction(BaseModel):
    """One row's answer. The gold answer is the row's last turn; `asked` is what stands before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    dataset: str
    images: tuple[str, ...]  # relative to the dataset's folder
    asked: tuple[Message, ...]
    gold: str
    given: str
    is_cut: bool  # it did not end within the longest answer allowed
    scores: dict[str, float]


def write_predictions(folder: Path, step: int, predictions: Sequence[Prediction]) -> None:
    """Write the answers of one evaluation whole. Raises OSError where the disk refuses."""
    _write_step(folder, step, predictions)


def recorded_steps(folder: Path) -> list[int]:
    """The steps of a folder's files: at which a run was evaluated, or before which answers were drawn; in order."""
    return sorted(int(path.stem.removeprefix(_PREFIX)) for path in folder.glob(f"{_PREFIX}*.jsonl"))


def read_predictions(folder: Path, step: int) -> list[Prediction]:
    """The answers of one evaluation, in the order of the rows; empty where there was none at that step."""
    return [Prediction.model_validate_json(line) for line in all_lines(_step_path(folder, step))]


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
    frame: tuple[int, int] | None = None  # (width, height) in px of the first image, in which boxes are
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
        remaining = memoryview(_lines(answers))
        while remaining:  # a disk that is nearly full takes less than it is given
            remaining = remaining[os.write(self._handle, remaining) :]

    def finish(self, answers: Sequence[Answer]) -> None:
        """Replace the file by all answers, in the order of the rows."""
        write_atomically(self._path, _lines(sorted(answers, key=lambda answer: answer.place)))


def read_answers(folder: Path, number: int) -> list[Answer]:
    """What one contestant has answered so far, in the order of the rows; empty before its first answer."""
    path = answers_path(folder, number)
    lines = path.read_bytes().split(b"\n") if path.is_file() else []  # in one go: it may be replaced meanwhile
    return sorted(_readable(lines), key=lambda answer: answer.place)


def answers_path(folder: Path, number: int) -> Path:
    """The file of the contestant of that number."""
    return folder / f"{number}.jsonl"


class RolloutAnswer(BaseModel):
    """One of the G answers to a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    reward: float | None  # weighted sum; None where no reward applies
    values: dict[str, float | None]  # of each reward, and "reward/part" of its parts
    advantage: float  # how much better than the group, as the loss sees it
    tokens: int
    is_cut: bool  # it did not end within the longest answer allowed
    noted: dict[str, Any] = {}  # what rewards logged of it by `log_extra`


class Rollout(BaseModel):
    """One question with its group of answers, in the order they were drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    dataset: str
    images: tuple[str, ...]  # relative to the dataset's folder
    asked: tuple[Message, ...]
    gold: str
    answers: tuple[RolloutAnswer, ...]


def write_rollouts(folder: Path, step: int, rollouts: Sequence[Rollout]) -> None:
    """Write the groups drawn before optimizer step `step` + 1, whole. Raises OSError where the disk refuses."""
    _write_step(folder, step, rollouts)


def read_rollouts(folder: Path, step: int) -> list[Rollout]:
    """The groups of one generation; empty where there was none at that step."""
    return [Rollout.model_validate_json(line) for line in all_lines(_step_path(folder, step))]


def _step_path(folder: Path, step: int) -> Path:
    return folder / f"{_PREFIX}{step:08d}.jsonl"


def _write_step(folder: Path, step: int, records: Sequence[BaseModel]) -> None:
    folder.mkdir(exist_ok=True)
    content = "".join(f"{record.model_dump_json()}\n" for record in records)
    write_atomically(_step_path(folder, step), content.encode())


def _readable(lines: Sequence[bytes]) -> Iterator[Answer]:
    """The lines that are answers; one that a cut-off tore is none."""
    for line in lines:
        with suppress(ValidationError):
            yield Answer.model_validate_json(line)


def _lines(answers: Sequence[Answer]) -> bytes:
    return "".join(f"{answer.model_dump_json()}\n" for answer in answers).encode("utf-8", "replace")
