"""Whether a conversation can be learned from: the order of its turns, its texts, and its pictures' count."""

import re
from collections.abc import Iterator, Sequence

from backend.conversation import PLACEHOLDER, Message
from backend.datasets.problems import counted
from backend.datasets.turns import RowFault

CONTROL_TOKENS = re.compile(
    r"<\|(im_start|im_end|endoftext|image_pad|video_pad|vision_start|vision_end|vision_pad|fim_\w+|repo_name|file_sep)\|>"
)
_GROUNDING = re.compile(r"<(bbox|ref-object)>")
_AROUND = re.compile(rf"\s*{re.escape(PLACEHOLDER)}\s*")


def tidied(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Strip the blanks around every placeholder, so that training and chat render a picture alike."""
    return tuple(
        message.model_copy(update={"content": _AROUND.sub(PLACEHOLDER, message.content)})
        if PLACEHOLDER in message.content else message
        for message in messages
    )  # fmt: skip


def faults_of(messages: Sequence[Message], pictures: int) -> Iterator[RowFault]:
    """Yield everything that is wrong with a conversation that shows so many pictures."""
    yield from _order_faults(messages)
    for number, message in enumerate(messages):
        yield from _text_faults(message, f"turn {number + 1}")
    placeholders = sum(message.content.count(PLACEHOLDER) for message in messages)
    if placeholders != pictures:
        yield RowFault(
            "IMG_COUNT",
            f"It has {counted(placeholders, '`<image>` placeholder')} and {counted(pictures, 'picture')}",
            "images",
        )


def _order_faults(messages: Sequence[Message]) -> Iterator[RowFault]:
    roles = [message.role for message in messages]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if "assistant" not in spoken:
        yield RowFault("ANSWER_MISSING", "No turn is an assistant's answer", "messages")
        return
    expected = ["user", "assistant"] * (len(spoken) // 2 + 1)
    wrong = next((at for at, (role, want) in enumerate(zip(spoken, expected, strict=False)) if role != want), None)
    if wrong is not None:
        turn = wrong + 1 + len(roles) - len(spoken)
        yield RowFault(
            "ROLE_ORDER", f"Turn {turn} is `{spoken[wrong]}` where `{expected[wrong]}` belongs", f"turn {turn}"
        )
    elif spoken[-1] == "user":
        yield RowFault("ANSWER_MISSING", "The last question has no answer", f"turn {len(roles)}")


def _text_faults(message: Message, field: str) -> Iterator[RowFault]:
    if not message.content.strip() and message.role != "system":
        code, word = ("ANSWER_EMPTY", "answer") if message.role == "assistant" else ("QUESTION_EMPTY", "question")
        yield RowFault(code, f"The {word} in {field} is empty", field)
    if PLACEHOLDER in message.content and message.role != "user":
        yield RowFault("IMG_IN_ANSWER", f"The {message.role}'s {field} holds `{PLACEHOLDER}`", field)
    if found := CONTROL_TOKENS.search(message.content):
        yield RowFault("SPECIAL_TOKEN", f"The text of {field} holds `{found[0]}`", field)
    if found := _GROUNDING.search(message.content):
        yield RowFault("GROUNDING_PLACEHOLDER", f"The text of {field} holds `{found[0]}`", field)
    for code, mark in (("VIDEO_ROW", "<video>"), ("AUDIO_ROW", "<audio>")):
        if mark in message.content:
            yield RowFault(code, f"The text of {field} holds `{mark}`", field)
