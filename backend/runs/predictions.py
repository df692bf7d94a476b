"""`predictions/`: the answers that a run gave to held-out rows, one JSONL for each evaluation."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

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
    folder.mkdir(exist_ok=True)
    content = "".join(f"{prediction.model_dump_json()}\n" for prediction in predictions)
    write_atomically(folder / f"{_PREFIX}{step:08d}.jsonl", content.encode())


def evaluated_steps(folder: Path) -> list[int]:
    """The steps at which a run was evaluated, in order."""
    return sorted(int(path.stem.removeprefix(_PREFIX)) for path in folder.glob(f"{_PREFIX}*.jsonl"))


def read_predictions(folder: Path, step: int) -> list[Prediction]:
    """The answers of one evaluation, in the order of the rows; empty where there was none at that step."""
    return [Prediction.model_validate_json(line) for line in all_lines(folder / f"{_PREFIX}{step:08d}.jsonl")]
