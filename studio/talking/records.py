"""What rests on disk of talking: a conversation as one JSON file, a vote between two models as a line of its own."""

import re
import secrets
from dataclasses import dataclass, field
from typing import Annotated, Literal, NewType

from pydantic import BaseModel, ConfigDict, Field

from backend.conversation import Message
from studio.talking.manner import Manner

TalkId = NewType("TalkId", str)
VoteId = NewType("VoteId", str)
Side = Literal["left", "right", "tie", "skip"]
_ID = re.compile(r"[0-9a-f]{24}")
_PICTURE = r"^[0-9a-f]{8,64}\.(jpg|png|webp)$"


class Record(BaseModel):
    """Rests on disk; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnRecord(Record):
    """One model's side of a conversation."""

    model: str  # as `resolve_checkpoint` takes it; empty where the column stands empty
    turns: tuple[Message, ...]
    pictures: tuple[Annotated[str, Field(pattern=_PICTURE)], ...]  # names, in the order of their `<image>`s


class TalkRecord(Record):
    """`talks/<id>.json`: a conversation with every model that took part."""

    id: TalkId
    begun_at: float  # seconds since the epoch
    saved_at: float
    manner: Manner  # of the last question
    columns: tuple[ColumnRecord, ...]

    @property
    def title(self) -> str:
        """The first words that a person said; empty where it was only a picture."""
        asked = [turn.content for column in self.columns for turn in column.turns if turn.role == "user"]
        return asked[0].replace("<image>", "").strip() if asked else ""

    @property
    def picture_names(self) -> tuple[str, ...]:
        """Every picture of it, each once."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.pictures))


class SessionRecord(Record):
    """The first line of `votes/<id>.jsonl`: who is compared on what. Pages may not say the models before the end."""

    kind: Literal["session"] = "session"
    id: VoteId
    begun_at: float
    models: tuple[str, str]  # as `resolve_checkpoint` takes them: a, then b
    dataset: str
    questions: int  # held-out rows when it began
    seed: int  # draws the order of the questions, and who stands left
    manner: Manner


class VoteRecord(Record):
    """One judged question."""

    kind: Literal["vote"] = "vote"
    question: str  # the row's id
    order: tuple[int, int]  # which of `models` stood left, and which right
    vote: Side
    answers: tuple[str, str]  # left, right
    voted_at: float


class RevealRecord(Record):
    """The last line: the names were shown, so nobody votes here any more."""

    kind: Literal["reveal"] = "reveal"
    revealed_at: float


@dataclass
class TalkPlace:
    """Where a page keeps its conversation. All events of the page share one, for two columns may end at once."""

    id: str = ""  # empty until something is asked
    seen: set[float] = field(default_factory=set)  # every `saved_at` of it that the page has read or written
    is_apart: bool = False  # whether it has an id of its own because somebody else went on under the first one


def new_id() -> str:
    """A name for a file that nobody guesses: it is all that a link holds."""
    return secrets.token_hex(12)


def is_id(text: object) -> bool:
    """Whether a browser's word can be such a name; anything else never becomes a path."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None
