"""A conversation in the studio's one form, and its text as the model reads it."""

from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
PLACEHOLDER = "<image>"  # stands in `content` where an image belongs
DEFAULT_SYSTEM = "You are a helpful assistant."
VISION = "<|vision_start|><|image_pad|><|vision_end|>"
TURN_END = "<|im_end|>"


class Message(BaseModel):
    """One turn. `content` holds one `<image>` for each image shown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str


def present_split(written: Any) -> Any:
    """Read the part of a row as an earlier version wrote it: what it held out is for validation."""
    return "validation" if written == "heldout" else written


class Row(BaseModel):
    """One line of `data.json`: the layout that ShareGPT-style trainers read, plus an id and its split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    split: Annotated[Split, BeforeValidator(present_split)]
    images: tuple[str, ...]  # relative to the dataset's folder, e.g. images/3f2a....png
    messages: tuple[Message, ...]
    source: str = ""  # where the row came from, e.g. "train.jsonl line 17"
    references: tuple[str, ...] = ()  # other answers that are as good as the last turn
    columns: dict[str, Any] = {}  # what else the row held as it was uploaded, for rewards

    @property
    def gold(self) -> str | None:
        """The last answer; None where the conversation has none."""
        return next((turn.content for turn in reversed(self.messages) if turn.role == "assistant"), None)

    def with_gold(self, answer: str) -> "Row":
        """The same row with another last answer. Of its references this answer and the one that was wrong go."""
        last = max(number for number, turn in enumerate(self.messages) if turn.role == "assistant")
        turns = list(self.messages)
        turns[last] = turns[last].model_copy(update={"content": answer})
        references = tuple(text for text in self.references if text not in (answer, self.gold))
        return self.model_copy(update={"messages": tuple(turns), "references": references})

    def as_written(self) -> dict[str, Any]:
        """The fields that stand in `data.json`: references and columns only where there are some."""
        return self.model_dump(exclude={name for name in ("references", "columns") if not getattr(self, name)})


class Segment(NamedTuple):
    """A stretch of rendered text, and whether the model learns to write it."""

    text: str
    is_learned: bool


def render(messages: tuple[Message, ...] | list[Message], *, for_answer: bool = False) -> list[Segment]:
    """Write a conversation as the released chat template does, images as one vision span each.

    Training, evaluation and chat all read this function, so the model meets the same text everywhere.

    Args:
        messages: the turns, oldest first; without a system turn the released default is put before them.
        for_answer: end with the opening of an assistant turn, ready to be continued.

    Returns:
        Segments whose texts join to the prompt. Learned ones hold an assistant's answer, its `<|im_end|>` and newline.
    """
    turns = list(messages)
    if not turns or turns[0].role != "system":
        turns.insert(0, Message(role="system", content=DEFAULT_SYSTEM))
    segments = []
    for turn in turns:
        segments.append(Segment(f"<|im_start|>{turn.role}\n", False))
        body = turn.content.replace(PLACEHOLDER, VISION) if turn.role == "user" else turn.content
        segments.append(Segment(f"{body}{TURN_END}\n", turn.role == "assistant"))
    if for_answer:
        segments.append(Segment("<|im_start|>assistant\n", False))
    return segments
