"""What the chat program and the studio say to each other: one JSON object a line, over a pipe."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message
from backend.spec.sampling import SamplingParameters


class Line(BaseModel):
    """Crosses the pipe; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ask(Line):
    """Answer a conversation; its last turn is the user's."""

    kind: Literal["ask"] = "ask"
    id: int
    workspace: str
    checkpoint: str
    messages: tuple[Message, ...]
    images: tuple[str, ...]  # checked local files, one for each `<image>`
    sampling: SamplingParameters


class Stop(Line):
    """Stop answering `id`."""

    kind: Literal["stop"] = "stop"
    id: int


class Ready(Line):
    """The base model is loaded."""

    kind: Literal["ready"] = "ready"


class Piece(Line):
    """A stretch of an answer. The last one says why it ended."""

    kind: Literal["piece"] = "piece"
    id: int
    text: str
    tokens: int  # so far
    seconds: float  # since the first token
    is_last: bool = False
    reason: Literal["", "end", "length", "stopped"] = ""


class Failure(Line):
    """This question cannot be answered; others go on."""

    kind: Literal["failure"] = "failure"
    id: int
    message: str
    hint: str
