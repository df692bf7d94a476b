"""From the turns of a row, in any of the ways people write them, to messages that can be learned from."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from backend.conversation import PLACEHOLDER, Message, Role
from backend.datasets.json_text import JsonFault, parse
from backend.datasets.problems import counted, quoted

ROLES: dict[str, Role] = {
    "user": "user", "human": "user", "question": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "system": "system",
}  # fmt: skip
TOOL_ROLES = ("tool", "function", "function_call", "observation", "tool_call", "tool_response", "ipython")
MAX_PRINTED = 1 << 16  # characters of a value as Python prints it
_TEXT_PARTS = {"text", "input_text", "output_text"}
_IMAGE_PARTS = {"image", "image_url", "input_image"}
_PAYLOADS = ("image", "image_url", "url", "path", "file_name", "value", "bytes")
CONTROL_TOKENS = re.compile(
    r"<\|(im_start|im_end|endoftext|image_pad|video_pad|vision_start|vision_end|vision_pad|fim_\w+|repo_name|file_sep)\|>"
)
_GROUNDING = re.compile(r"<(bbox|ref-object)>")
_PAIRS = (("user", "assistant"), ("human", "gpt"), ("question", "answer"), ("q", "a"), ("input", "output"))
_MARKS = re.compile(  # an image's place, as trainers write it: in order, by its number, or by its path
    r"<image>|<\|?(?:image|img)[ _-]?(?P<number>\d{1,3})\|?>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>"
    r"|<(?:ImageHere|image_placeholder|start_of_image|\|image\|)>|\[IMG\]|<IMAGE>|<Image>"
    r"|<img>(?P<tagged>[^<>\n]{1,4096})</img>|<img [^<>]{0,512}?src=[\"'](?P<source>[^\"'<>]{1,4096})[\"'][^<>]{0,512}>"
    r"|!\[[^\[\]\n]{0,512}\]\((?P<linked>[^()\s]{1,4096}\.(?:png|jpe?g|webp|gif|bmp|tiff?))\)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_NUMPY_LIST = re.compile(rf"\s*\[\s*(?:{_QUOTED.pattern})(?:\s+(?:{_QUOTED.pattern}))+\s*\]\s*")
_AROUND = re.compile(rf"\s*{re.escape(PLACEHOLDER)}\s*")


class RowFault(Exception):
    """A row cannot be understood: a code of the problem list, a message, and the field it is about."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, field


class TurnReader:
    """Reads the turns of one row in their order; `slots` gathers its images.

    A slot is the image's path, its number in the row's list as it was written, or None for a placeholder in a text,
    which takes the next image of that list.
    """

    def __init__(self) -> None:
        self.slots: list[str | int | None] = []

    def turns(self, value: Any, field: str) -> list[Message]:
        """Read a list of turns: `{"role", "content"}`, `{"from", "value"}`, or pairs `{"user", "assistant"}`.

        Raises:
            RowFault: it is something else.
        """
        if not isinstance(value, list):
            raise RowFault("TEXT_TYPE", f"`{field}` is no list of turns", field)
        return [message for number, turn in enumerate(value) for message in self._turn(turn, f"{field}[{number}]")]

    def message(self, role: Role, content: Any, field: str) -> Message:
        """Read the content of one turn: a text, or a list of parts. Raises RowFault."""
        if not isinstance(content, list):
            return Message(role=role, content=self._text(content, field))
        parts = (self._part(part, f"{field}[{number}]") for number, part in enumerate(content))
        return Message(role=role, content="".join(parts))

    def _turn(self, turn: Any, field: str) -> Iterator[Message]:
        if not isinstance(turn, dict):
            raise RowFault("TEXT_TYPE", f"`{field}` is no object with a role and a content", field)
        if pair := _pair_of(turn):
            yield self.message("user", turn[pair[0]], f"{field}.{pair[0]}")
            yield self.message("assistant", turn[pair[1]], f"{field}.{pair[1]}")
            return
        name = turn.get("role") or turn.get("from")
        role = ROLES.get(name.strip().lower()) if isinstance(name, str) else None
        if isinstance(name, str) and name.strip().lower() in TOOL_ROLES:
            raise RowFault("TOOL_CALL", f"`{field}` is a call of a tool or its result (`{quoted(name, 40)}`)", field)
        if role is None:
            raise RowFault("ROLE_UNKNOWN", f"`{field}` has the role `{quoted(str(name), 40)}`", field)
        key = "content" if turn.get("content") is not None else "value"
        yield self.message(role, turn.get(key), f"{field}.{key}")

    def _text(self, value: Any, field: str) -> str:
        text = plain_text(value, field)
        if "<" not in text and "[" not in text:
            return text
        slots: list[str | int | None] = []

        def note(mark: re.Match[str]) -> str:
            path = mark["tagged"] or mark["source"] or mark["linked"]
            slots.append(path.strip() if path else int(mark["number"]) if mark["number"] else None)
            return PLACEHOLDER

        text = _MARKS.sub(note, text)
        self.slots += slots
        return text

    def _part(self, part: Any, field: str) -> str:
        if isinstance(part, str):
            return self._text(part, field)
        if not isinstance(part, dict):
            raise RowFault("TEXT_TYPE", f"`{field}` is neither a text nor an object", field)
        kind = part.get("type") or next(
            (key for key in ("text", "image", "image_url") if part.get(key) is not None), ""
        )
        if kind in _TEXT_PARTS:
            return self._text(part.get("text") if part.get("text") is not None else part.get("value"), field)
        if kind in _IMAGE_PARTS:
            payload = next((part[key] for key in _PAYLOADS if part.get(key) not in (None, "")), None)
            self.slots.append(None if payload is None else image_path(payload, field))
            return PLACEHOLDER
        if isinstance(kind, str) and ("video" in kind or "audio" in kind):
            raise RowFault("VIDEO_ROW" if "video" in kind else "AUDIO_ROW", f"`{field}` is a {quoted(kind, 20)}", field)
        raise RowFault("TEXT_TYPE", f"`{field}` is of the unknown type `{quoted(str(kind), 40)}`", field)


def is_turns(value: Any) -> bool:
    """Tell whether a value is a list of turns, by its first one."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    first = value[0]
    return isinstance(first.get("role") or first.get("from"), str) or any(first.keys() >= set(p) for p in _PAIRS[:2])


def listed(value: Any) -> Any:
    """Read a list or an object that a table holds as JSON text or as Python prints it; anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return parse(value).value
        except JsonFault:
            return _as_python(value)
    return value


def _as_python(text: str) -> Any:
    """Read objects and texts as Python prints them, `[{'from': 'human'}]`, `['a', 'b']`; anything else stays text."""
    if len(text) > MAX_PRINTED or not re.match(r"\s*(\[?\s*\{\s*'|\[\s*['\"])", text):
        return text
    if _NUMPY_LIST.fullmatch(text):  # without commas, which Python would read as one text
        return [each[1:-1] for each in _QUOTED.findall(text)]
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _pair_of(turn: dict[str, Any]) -> tuple[str, str] | None:
    """The names of a question and its answer in one object; None where it is a turn with a role."""
    if "role" in turn or "from" in turn:
        return None
    return next((pair for pair in _PAIRS if turn.keys() >= set(pair)), None)


def plain_text(value: Any, field: str) -> str:
    """Give a text as it is, a number as it is written, nothing as an empty text. Raises RowFault for anything else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    raise RowFault(
        "TEXT_TYPE", f"`{field}` is {'a list' if isinstance(value, list) else 'an object'}, not a text", field
    )


def image_path(value: Any, field: str) -> str:
    """Give the path inside an image's entry: a text, or an object that names it. Raises RowFault."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        if isinstance(value.get("image_url"), dict):
            return image_path(value["image_url"], field)
        named = next((value[key] for key in _PAYLOADS if isinstance(value.get(key), str) and value[key]), None)
        if named is not None:
            return str(named)
    raise RowFault("IMG_REFERENCE", f"`{field}` names no image", field)


def with_trimmed_placeholders(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Strip the blanks around every placeholder, so that training and chat render an image alike."""
    return tuple(
        message.model_copy(update={"content": _AROUND.sub(PLACEHOLDER, message.content)})
        if PLACEHOLDER in message.content
        else message
        for message in messages
    )


def faults_of(messages: Sequence[Message], images: int) -> Iterator[RowFault]:
    """Yield everything that is wrong with a conversation that shows so many images."""
    yield from _order_faults(messages)
    for number, message in enumerate(messages):
        yield from _text_faults(message, f"turn {number + 1}")
    placeholders = sum(message.content.count(PLACEHOLDER) for message in messages)
    if placeholders != images:
        yield RowFault(
            "IMG_COUNT",
            f"It has {counted(placeholders, '`<image>` placeholder')} and {counted(images, 'image')}",
            "images",
        )


def _order_faults(messages: Sequence[Message]) -> Iterator[RowFault]:
    roles = [message.role for message in messages]
    dialogue = roles[1:] if roles[:1] == ["system"] else roles
    if "assistant" not in dialogue:
        yield RowFault("ANSWER_MISSING", "No turn is an assistant's answer", "messages")
        return
    expected = ["user", "assistant"] * (len(dialogue) // 2 + 1)
    first_wrong = next(
        (at for at, (role, expected_role) in enumerate(zip(dialogue, expected, strict=False)) if role != expected_role),
        None,
    )
    if first_wrong is not None:
        turn = first_wrong + 1 + len(roles) - len(dialogue)
        yield RowFault(
            "ROLE_ORDER",
            f"Turn {turn} is `{dialogue[first_wrong]}` where `{expected[first_wrong]}` belongs",
            f"turn {turn}",
        )
    elif dialogue[-1] == "user":
        yield RowFault("ANSWER_MISSING", "The last question has no answer", f"turn {len(roles)}")


def _text_faults(message: Message, field: str) -> Iterator[RowFault]:
    if not message.content.strip() and message.role != "system":
        code, word = ("ANSWER_EMPTY", "answer") if message.role == "assistant" else ("QUESTION_EMPTY", "question")
        yield RowFault(code, f"The {word} in {field} is empty", field)
    if PLACEHOLDER in message.content and message.role != "user":
        yield RowFault("IMG_IN_ANSWER", f"The {message.role}'s {field} holds `{PLACEHOLDER}`", field)
    if match := CONTROL_TOKENS.search(message.content):
        yield RowFault("SPECIAL_TOKEN", f"The text of {field} holds `{match[0]}`", field)
    if match := _GROUNDING.search(message.content):
        yield RowFault("GROUNDING_PLACEHOLDER", f"The text of {field} holds `{match[0]}`", field)
    for code, mark in (("VIDEO_ROW", "<video>"), ("AUDIO_ROW", "<audio>")):
        if mark in message.content:
            yield RowFault(code, f"The text of {field} holds `{mark}`", field)
