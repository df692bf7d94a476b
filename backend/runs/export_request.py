"""What the studio asks of an export, and what the program tells: files in a work folder."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from backend.errors import SpecError

REQUEST = "request.json"
EVENTS = "events.jsonl"
LOG = "log.txt"


class ExportRequest(BaseModel):
    """`request.json`: the program's only input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: str
    checkpoint: str  # as `resolve_checkpoint` takes it
    target: str  # a folder that does not exist yet, or is empty


class ExportReport(BaseModel):
    """How the merged model, loaded again from disk, compares with the checkpoint on the same questions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    questions: int
    same_answers: int  # to the letter; in half precision also those that differ by no more than rounding
    is_exact: bool  # all to the letter
    largest_difference: float  # between the logits of the first answered token
    is_merged: bool  # an adapter was merged; else the checkpoint was a whole model already
    bytes: int


def refuse_target(target: Path) -> None:
    """Look at where the model shall go.

    Raises:
        SpecError: something lies there, or its parent folder does not exist.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise SpecError(f"`{target}` is there already", hint="Name a folder that does not exist yet")
    if not target.parent.is_dir():
        raise SpecError(f"`{target.parent}` is no folder", hint="Make it first, or export to somewhere else")
