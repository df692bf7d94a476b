"""One row, whose columns' parts are known, in the studio's one form."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from backend.conversation import PLACEHOLDER, Message, Role
from backend.datasets.choices import choices_of, chosen_label, with_choices
from backend.datasets.columns import HISTORY, ID_FIELDS, REFERENCES, FileColumns, cell, is_enough, parts_of
from backend.datasets.image_cells import images_in_cell
from backend.datasets.problems import quoted
from backend.datasets.records import ColumnMapping, LayoutName
from backend.datasets.split_column import is_split_column
from backend.datasets.turns import RowFault, TurnReader, listed, plain_text

AFTER = ("instruction", "指令")  # questions that their context follows, as in Alpaca and Dolly


class ConvertedRow(NamedTuple):
    """A row in the studio's form whose images are still the paths that were written."""

    messages: list[Message]
    images: list[str]


def recognise(content: dict[str, Any], mapping: ColumnMapping | None = None) -> LayoutName | None:
    """Name the layout of one row; None where it cannot be understood. Without a mapping its own columns are judged."""
    mapping = mapping or FileColumns([content]).mapping
    if not mapping.turns:
        return "table" if is_enough(mapping) else None
    if len(mapping.turns) > 1:
        return "prompt_completion"
    turns = listed(content.get(mapping.turns[0]))
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], dict):
        return None
    if any(isinstance(turn.get("content"), list) for turn in turns if isinstance(turn, dict)):
        return "parts"
    return "llava" if turns[0].get("from") is not None else "messages"


def convert(
    content: dict[str, Any],
    mapping: ColumnMapping | None = None,
    is_uploaded: Callable[[str], bool] = lambda _: False,
) -> ConvertedRow:
    """Read one row.

    Args:
        content: the row as it was written.
        mapping: which columns play which part; without it the row's own columns are judged.
        is_uploaded: tells whether an uploaded file has exactly a name.

    Raises:
        RowFault: it cannot be understood; the first reason.
    """
    _refuse_other_media(content)
    mapping = mapping or FileColumns([content]).mapping
    if not is_enough(mapping):
        raise RowFault("ROW_UNRECOGNISED", f"Its fields are {_fields(content)}")
    reader = TurnReader()
    messages = _turns_of(content, mapping, reader) if mapping.turns else _question_and_answer(content, mapping, reader)
    system = plain_text(cell(content, mapping.system), "system") if mapping.system else ""
    if system.strip() and (not messages or messages[0].role != "system"):
        messages.insert(0, Message(role="system", content=system))
    return ConvertedRow(*_with_images_placed(messages, reader.slots, _images(content, mapping, is_uploaded)))


def accepted_answers(content: dict[str, Any]) -> list[str]:
    """Read every accepted answer of a row in its order, repeated ones too, blank ones not.

    A value is a list of texts or numbers, a list of `{"answer": text}`, `{"text": [texts]}` as in SQuAD, or one text;
    a table holds a list as JSON text.

    Raises:
        RowFault: it is something else.
    """
    answers: list[str] = []
    for field in REFERENCES:
        value = _listed_answers(content.get(field))
        items = value if isinstance(value, list) else [value]
        answers += [_answer(item, f"{field}[{number}]") for number, item in enumerate(items)]
    return [text for text in answers if text.strip()]


def other_than(gold: str, answers: list[str]) -> tuple[str, ...]:
    """The accepted answers beside the gold one, in their order: several people's same answer stands several times."""
    others = list(answers)
    if gold in others:
        others.remove(gold)
    return tuple(others)


def unused(content: Mapping[str, Any], mapping: ColumnMapping) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a row that hold something and play no part, with what they hold."""
    outer = {name.partition(".")[0] if name not in content else name for name in parts_of(mapping)}
    used = {*outer, *ID_FIELDS, *REFERENCES, *filter(is_split_column, content), HISTORY}
    yield from (
        (name, value) for name, value in content.items() if name not in used and value not in (None, "", [], {})
    )


def _question_and_answer(content: dict[str, Any], mapping: ColumnMapping, reader: TurnReader) -> list[Message]:
    """The turns of a table's row: what was asked before, then its question and answer."""
    history = listed(content.get(HISTORY)) or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise RowFault("TEXT_TYPE", "`history` is no list of question and answer pairs", HISTORY)
    choices = choices_of(content, mapping) if mapping.choices else []
    answer = chosen_label(_gold(content, mapping.answer), choices, mapping.first_choice, mapping.answer)
    pairs = [*history, (with_choices(_question(content, mapping), choices), plain_text(answer, mapping.answer))]
    messages = []
    for user_text, assistant_text in pairs:
        messages.append(reader.message("user", user_text, mapping.question or "question"))
        messages.append(reader.message("assistant", assistant_text, mapping.answer))
    return messages


def _question(content: dict[str, Any], mapping: ColumnMapping) -> str:
    question = plain_text(cell(content, mapping.question), mapping.question) if mapping.question else ""
    context = [plain_text(cell(content, name), name) for name in mapping.context]
    texts = [question, *context] if mapping.question.casefold() in AFTER else [*context, question]
    return "\n".join(text for text in texts if text.strip())


def _gold(content: dict[str, Any], field: str) -> Any:
    """The answer of a row: of a list `answers` the most frequent one, and the one text of a list of one."""
    value = cell(content, field)
    if field in REFERENCES:
        answers = accepted_answers({field: value})
        return Counter(answers).most_common(1)[0][0] if answers else ""
    value = listed(value) if isinstance(value, str) and value.lstrip().startswith('["') else value
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1]  # the last turn of an answer that is a conversation
    if isinstance(value, dict) and isinstance(text := value.get("content") or value.get("value"), str):
        return text
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]  # as some sets write their answers; several may mean anything
    if isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
        return f"[{', '.join(plain_text(item, field) for item in value)}]"  # a box or a point
    return value


def _turns_of(content: dict[str, Any], mapping: ColumnMapping, reader: TurnReader) -> list[Message]:
    """The turns of a row that holds turns; where none of them is an answer, the answer's column gives it."""
    roles: tuple[Role, Role] = ("user", "assistant")
    messages: list[Message] = []
    for place, field in enumerate(mapping.turns):
        value = listed(content.get(field))
        if isinstance(value, list) or len(mapping.turns) == 1:
            messages += reader.turns(value, field)
        else:
            messages.append(reader.message(roles[place], value, field))
    if mapping.answer and messages and messages[-1].role == "user" and cell(content, mapping.answer) is not None:
        answer = plain_text(_gold(content, mapping.answer), mapping.answer)
        messages.append(reader.message("assistant", answer, mapping.answer))
    return messages


def _images(content: dict[str, Any], mapping: ColumnMapping, is_uploaded: Callable[[str], bool]) -> list[str]:
    """The images of a row's columns in order; a column that names the same ones as an earlier one adds none."""
    images: list[str] = []
    for field in mapping.images:
        named = images_in_cell(cell(content, field), field, is_uploaded)
        images += [name for name in named if name not in images] if images else named
    return images


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
    items = listed(value)
    if isinstance(items, dict) and isinstance(items.get("text"), list):
        return items["text"]
    if not isinstance(value, str):
        return value
    return items if isinstance(items, list) and all(isinstance(item, str | dict) for item in items) else value


def _with_images_placed(
    messages: list[Message], slots: list[str | int | None], images: list[str]
) -> tuple[list[Message], list[str]]:
    """Give placeholders their images in order; without any placeholder, put one for each before the first turn."""
    if not slots and images:
        first = next((number for number, message in enumerate(messages) if message.role == "user"), None)
        if first is not None:
            with_placeholders = PLACEHOLDER * len(images) + messages[first].content
            messages[first] = Message(role="user", content=with_placeholders)
        return messages, images
    numbers = {slot for slot in slots if isinstance(slot, int)}
    start = 0 if 0 in numbers else 1
    if numbers and max(numbers) - start >= len(images):
        message = f"`<image {max(numbers)}>` stands in the text, and the row names {len(images)} images"
        raise RowFault("IMG_COUNT", message, "images")
    paths = [slot for slot in slots if isinstance(slot, str)]
    numbered = [images[number - start] for number in numbers]
    rest = iter([image for image in images if image not in numbered] if None in slots or images != paths else [])
    filled = [
        next(rest, None) if slot is None else images[slot - start] if isinstance(slot, int) else slot for slot in slots
    ]
    return messages, [path for path in filled if path is not None] + list(rest)


def _refuse_other_media(content: dict[str, Any]) -> None:
    for code, fields in (("VIDEO_ROW", ("video", "videos")), ("AUDIO_ROW", ("audio", "audios"))):
        for field in fields:
            if content.get(field):
                raise RowFault(code, f"It has a `{field}`", field)


def _fields(content: dict[str, Any]) -> str:
    names = [f"`{quoted(str(name), 40)}`" for name in list(content)[:8]]
    return ", ".join(names) + (" and more" if len(content) > len(names) else "") if names else "missing"
