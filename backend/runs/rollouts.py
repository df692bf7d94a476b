"""`completions/`: what a run's model answered while it learned from rewards, one JSONL for each generation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message
from backend.jsonl import all_lines, write_atomically

_PREFIX = "step-"


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
    folder.mkdir(exist_ok=True)
    content = "".join(f"{rollout.model_dump_json()}\n" for rollout in rollouts)
    write_atomically(folder / f"{_PREFIX}{step:08d}.jsonl", content.encode())


def rollout_steps(folder: Path) -> list[int]:
    """The steps before which answers were drawn, in order."""
    return sorted(int(path.stem.removeprefix(_PREFIX)) for path in folder.glob(f"{_PREFIX}*.jsonl"))


def read_rollouts(folder: Path, step: int) -> list[Rollout]:
    """The groups of one generation; empty where there was none at that step."""
    return [Rollout.model_validate_json(line) for line in all_lines(folder / f"{_PREFIX}{step:08d}.jsonl")]
