"""What an evaluation asks, of whom, and by what it judges the answers."""

from typing import ClassVar, Literal, get_args

from pydantic import Field, model_validator

from backend.earlier_names import renamed
from backend.spec.knobs import RunKind, SpecModel, knob

Check = Literal["quality", "image", "forgetting", "export"]
CHECKS: tuple[Check, ...] = get_args(Check)
Form = Literal["saved", "merged", "4bit"]  # as it lies on disk, merged into one model, or that one in NF4
Rows = Literal["validation", "test", "train", "all"]  # a part of the split, or every row
Shown = Literal["own", "blank", "shuffled"]  # each row's own images, grey ones, or those of other rows
MOST_CONTESTANTS = 3


class Contestant(SpecModel):
    """One way to answer every row: a checkpoint, in which form it is loaded, and which images it is shown."""

    checkpoint: str = Field(min_length=1)  # as `resolve_checkpoint` takes it
    form: Form = "saved"
    images: Shown = "own"

    _earlier = model_validator(mode="before")(renamed({"pictures": "images"}))


class ComparisonKnobs(SpecModel):
    """An evaluation after training. All contestants answer the same rows; the first is what the others are held to."""

    read_by: ClassVar[tuple[RunKind, ...]] = ("evaluation",)

    check: Check = "quality"  # what the answers shall tell
    contestants: tuple[Contestant, ...] = Field((), max_length=MOST_CONTESTANTS)
    split: Rows = knob(
        "validation",
        label="Rows",
        help="Those that training is judged by, those kept for the last word, those it learned from, or all",
    )
    limit: int = knob(
        0, label="At most", help="Rows chosen by the seed; 0 means all of them", unit="rows", ge=0, le=1_000_000
    )
    metrics: tuple[str, ...] = knob(
        (), label="Metrics", help="Names, the decisive one first; nothing means what suits the answers"
    )
    batch_size: int = knob(16, label="Rows at once", help="Answered together", unit="rows", ge=1, le=1024)
    max_new_tokens: int = knob(
        128, label="Longest answer", help="Answers are cut there, and counted", unit="tokens", ge=1, le=16384
    )

    _earlier = model_validator(mode="before")(renamed(values={"picture": "image", "heldout": "validation"}))


def contestants_for(check: Check, checkpoints: tuple[str, ...]) -> tuple[Contestant, ...]:
    """Who answers for a check, the one to hold the others to first.

    Args:
        check: `image` and `export` take one checkpoint and vary what it sees or how it is loaded.
        checkpoints: the reference first.
    """
    first = checkpoints[0]
    if check == "image":
        return tuple(Contestant(checkpoint=first, images=shown) for shown in get_args(Shown))
    if check == "export":
        return tuple(Contestant(checkpoint=first, form=form) for form in get_args(Form))
    return tuple(Contestant(checkpoint=checkpoint) for checkpoint in checkpoints)
