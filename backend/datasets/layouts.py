"""Which layout a row is written in, and the same row in the studio's one form."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from backend.conversation import PLACEHOLDER, Message
from backend.datasets.json_rows import ID_FIELDS, JsonFault, parse
from backend.datasets.problems import quoted
from backend.datasets.records import ColumnMapping, LayoutName
from backend.datasets.split_column import is_split_column
from backend.datasets.turns import RowFault, TurnReader, image_path, plain_text

ROW_IMAGES = ("image", "images", "image_path", "image_paths", "image_file", "img")  # beside a list of turns
IMAGE = (
    *ROW_IMAGES, "img_path", "picture", "pictures", "photo",
    "photos", "file_name", "filename", "image_name", "file", "path",
    "图片", "图像", "照片", "图片路径", "图像路径", "图片名", "图片名称", "文件名", "图", "影像",
)  # fmt: skip
QUESTION = (
    "question", "prompt", "instruction", "query", "problem", "user", "question_text", "input",
    "问题", "提问", "指令", "提示", "提示词", "输入", "题目",
)  # fmt: skip
ANSWER = (
    "answer", "response", "completion", "output", "assistant", "caption", "solution", "description", "label", "target",
    "ground_truth", "answer_text", "text",
    "答案", "回答", "回复", "描述", "标签", "输出", "标注", "说明",
)  # fmt: skip
SYSTEM = ("system", "system_prompt", "系统", "系统提示", "系统提示词")
REFERENCES, ANSWERS = "references", "answers"
FIELDS = (REFERENCES, ANSWERS)
_TURN_FIELDS = ("messages", "conversations", "conversation")


def suggest(columns: Iterable[str]) -> ColumnMapping:
    """Guess which column plays which part; the earlier name of a list goes before the later. Empty where none fits."""
    by_name = {
        column.strip().casefold().replace(" ", "_").replace("-", "_"): column for column in reversed(list(columns))
    }

    def first(names: tuple[str, ...]) -> str:
        return next((by_name[name] for name in names if name in by_name), "")

    return ColumnMapping(image=first(IMAGE), question=first(QUESTION), answer=first(ANSWER), system=first(SYSTEM))


def is_enough(mapping: ColumnMapping) -> bool:
    """Tell whether rows can be made: an answer, and an image or a question to answer."""
    return bool(mapping.answer and (mapping.image or mapping.question))


def accepted_answers(content: dict[str, Any]) -> list[str]:
    """Read every accepted answer of a row in its order, repeated ones too, blank ones not.

    A value is a list of texts or numbers, a list of `{"answer": text}`, or one text; a table holds a list as JSON text.

    Raises:
        RowFault: it is something else.
    """
    answers: list[str] = []
    for field in FIELDS:
        value = _listed_answers(content.get(field))
        items = value if isinstance(value, list) else [value]
        answers += [_answer(item, f"{field}[{number}]") for number, item in enumerate(items)]
    return [text for text in answers if text.strip()]


def with_majority_answer(content: dict[str, Any]) -> dict[str, Any]:
    """Give a row whose only answers are `answers` the most frequent one, the first of equals, as its `answer`."""
    if not content.get(ANSWERS) or suggest(content).answer:
        return content
    try:
        answers = accepted_answers({ANSWERS: content[ANSWERS]})
    except RowFault:
        return content
    return content | {"answer": Counter(answers).most_common(1)[0][0]} if answers else content


def other_than(gold: str, answers: list[str]) -> tuple[str, ...]:
    """The accepted answers beside the gold one, in their order: several people's same answer stands several times."""
    others = list(answers)
    if gold in others:
        others.remove(gold)
    return tuple(others)


class ConvertedRow(NamedTuple):
    """A row in the studio's form whose images are still the paths that were written."""

    messages: list[Message]
    images: list[str]


def recognise(content: dict[str, Any]) -> LayoutName | None:
    """Tell the layout of one row by its fields; None where its columns must be mapped."""
    turns = next((content[field] for field in _TURN_FIELDS if content.get(field)), None)
    if turns is not None:
        return _turns_layout(_listed(turns))
    if content.get("prompt") is not None and content.get("completion") is not None:
        return "prompt_completion"
    return "table" if is_enough(suggest(with_majority_answer(content))) else None


def convert(content: dict[str, Any], mapping: ColumnMapping | None = None) -> ConvertedRow:
    """Read one row.

    Args:
        content: the row as it was written.
        mapping: which columns to read; without it the layout is recognised.

    Raises:
        RowFault: it cannot be understood; the first reason.
    """
    _refuse_other_media(content)
    layout = "table" if mapping is not None else recognise(content)
    if layout is None:
        raise RowFault("ROW_UNRECOGNISED", f"Its fields are {_fields(content)}")
    reader = TurnReader()
    if layout == "table":
        content = content if mapping else with_majority_answer(content)
        chosen = mapping or suggest(content)
        messages = _table_turns(content, chosen, reader)
        listed = _images(content, (chosen.image,) if chosen.image else ())
        system = content.get(chosen.system) if chosen.system else None
    else:
        messages = _pair(content, reader) if layout == "prompt_completion" else reader.turns(*_turns(content))
        listed = _images(content, ROW_IMAGES)
        system = next((content[field] for field in SYSTEM if content.get(field)), None)
    if plain_text(system, "system").strip() and (not messages or messages[0].role != "system"):
        messages.insert(0, Message(role="system", content=plain_text(system, "system")))
    return ConvertedRow(*_with_images_placed(messages, reader.slots, listed))


def unused_columns(content: dict[str, Any], mapping: ColumnMapping | None) -> list[str]:
    """Name the columns of a table's row that hold something and become part of no message."""
    chosen = mapping or suggest(content)
    used = {chosen.image, chosen.question, chosen.answer, chosen.system, "history"}
    used |= {*ID_FIELDS, *FIELDS, *filter(is_split_column, content)}
    if chosen.question == "instruction":
        used.add("input")
    return [name for name, value in content.items() if name not in used and value not in (None, "", [], {})]


def _answer(item: Any, field: str) -> str:
    if isinstance(item, dict):
        if "answer" not in item:
            raise RowFault("REFERENCES_INVALID", f"`{field}` is an object without an `answer`", field)
        item = item["answer"]
    try:
        return plain_text(item, field)
    except RowFault as fault:
        raise RowFault("REFERENCES_INVALID", fault.message, field) from fault


def _listed_answers(value: Any) -> Any:
    """Read a list of answers that a table holds as JSON text; `[1, 2, 3, 4]` is one answer, a box."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        items = parse(value).value
    except JsonFault:
        return value
    return items if isinstance(items, list) and all(isinstance(item, str | dict) for item in items) else value


def _turns_layout(turns: Any) -> LayoutName | None:
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], dict):
        return None
    if any(isinstance(turn.get("content"), list) for turn in turns if isinstance(turn, dict)):
        return "parts"
    return "llava" if turns[0].get("from") is not None else "messages"


def _turns(content: dict[str, Any]) -> tuple[Any, str]:
    field = next(field for field in _TURN_FIELDS if content.get(field))
    return _listed(content[field]), field


def _listed(value: Any) -> Any:
    """Read a list that a table holds as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return parse(value).value
        except JsonFault:
            return value
    return value


def _pair(content: dict[str, Any], reader: TurnReader) -> list[Message]:
    messages: list[Message] = []
    for field, role in (("prompt", "user"), ("completion", "assistant")):
        value = _listed(content[field])
        if isinstance(value, list):
            messages += reader.turns(value, field)
        else:
            messages.append(reader.message(role, value, field))  # type: ignore[arg-type]  # a Literal in a tuple
    return messages


def _table_turns(content: dict[str, Any], mapping: ColumnMapping, reader: TurnReader) -> list[Message]:
    question = plain_text(content.get(mapping.question), mapping.question) if mapping.question else ""
    extra = content.get("input")
    if mapping.question == "instruction" and isinstance(extra, str) and extra.strip():  # the alpaca layout
        question = f"{question}\n{extra}"
    answer = plain_text(_unwrapped(content.get(mapping.answer)), mapping.answer)
    history = content.get("history") or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise RowFault("TEXT_TYPE", "`history` is no list of question and answer pairs", "history")
    messages = []
    for user_text, assistant_text in [*history, (question, answer)]:
        messages.append(reader.message("user", user_text, mapping.question or "question"))
        messages.append(reader.message("assistant", assistant_text, mapping.answer))
    return messages


def _unwrapped(value: Any) -> Any:
    """The one text of a list that holds nothing else, as some sets write their answers; several may mean anything."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else value


def _images(content: dict[str, Any], fields: tuple[str, ...]) -> list[str]:
    for field in fields:
        value = _listed(content.get(field))
        if isinstance(value, list) and value:
            return [image_path(item, f"{field}[{number}]") for number, item in enumerate(value)]
        if value not in (None, "", []):
            return [image_path(value, field)]
    return []


def _with_images_placed(
    messages: list[Message], slots: list[str | None], listed: list[str]
) -> tuple[list[Message], list[str]]:
    """Give placeholders their images in order; without any placeholder, put one for each before the first turn."""
    if not slots and listed:
        first = next((number for number, message in enumerate(messages) if message.role == "user"), None)
        if first is not None:
            with_placeholders = PLACEHOLDER * len(listed) + messages[first].content
            messages[first] = Message(role="user", content=with_placeholders)
        return messages, listed
    rest = iter(listed if None in slots or listed != [slot for slot in slots if slot is not None] else [])
    filled = [next(rest, None) if slot is None else slot for slot in slots]
    return messages, [path for path in filled if path is not None] + list(rest)


def _refuse_other_media(content: dict[str, Any]) -> None:
    for code, fields in (("VIDEO_ROW", ("video", "videos")), ("AUDIO_ROW", ("audio", "audios"))):
        for field in fields:
            if content.get(field):
                raise RowFault(code, f"It has a `{field}`", field)


def _fields(content: dict[str, Any]) -> str:
    names = [f"`{quoted(str(name), 40)}`" for name in list(content)[:8]]
    return ", ".join(names) + (" and more" if len(content) > len(names) else "") if names else "missing"
