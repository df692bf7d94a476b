"""What the page's components may be sent: JSON bounded before it is built, then each value by its kind."""

import json
import re
from collections.abc import Callable
from typing import Any

import gradio as gr

from backend.errors import StudioError
from studio.ui.i18n import Translate

MOST_TOKENS = 50_000  # strings, numbers' commas and brackets; the largest event of a full page has some 3,000
MOST_DEPTH = 32
# A string without an end counts to the end of the text, so that every character is looked at once.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]|,', re.DOTALL)
MOST_FILES = 20_000  # in one value, as one upload may hold
MOST_NAME = 255
_FILE = {"_type": "gradio.FileData"}
FindFile = Callable[[str], str | None]  # a visitor's name for a file -> its path


class JsonRefused(StudioError):
    """Text that is no JSON, or more of it than anybody needs."""


def read_json(body: bytes) -> Any:
    """Parse UTF-8 JSON.

    Raises:
        JsonRefused: it is none, holds too many or too deeply nested values, a number that is not finite, or a
            character that is none.
    """
    try:
        text = body.decode("utf-8")
        _refuse_large(text)
        value = json.loads(text)
        write_json(value)  # refuses what Python reads beyond JSON: NaN, numbers without end, halves of characters
    except (ValueError, RecursionError) as error:  # of which both decoding errors and too many digits are kinds
        raise JsonRefused("The request is not JSON", hint="Send UTF-8 JSON with finite numbers") from error
    return value


def write_json(value: Any) -> bytes:
    """Serialise it. Raises ValueError for numbers that are not finite and for halves of a character."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")


class ValueRefused(StudioError):
    """A value that its component cannot hold."""


def fitting(component: Any, shown: Any, value: Any, find: FindFile, t: Translate) -> Any:
    """The value as Gradio may see it: files by their paths, everything else as it came.

    Args:
        component: as it was built.
        shown: the same, as the visitor's page has it now, with other choices and bounds.
        value: from outside, parsed.
        find: tells where a file of the visitor lies.
        t: of the page that is told what is wrong.

    Raises:
        ValueRefused: the component never holds such a value.
    """
    if isinstance(component, gr.File):
        value = _files(component, value, find, t)
    elif isinstance(component, gr.MultimodalTextbox):
        value = _box(value, find, t)
    elif not any(isinstance(component, kinds) and holds(component, value) for kinds, holds in _VALUE_KINDS):
        raise _nonsense(t)
    if value is None and isinstance(component, gr.CheckboxGroup):
        value = []  # nothing is ticked; Gradio reads no other form of it
    return _tried(shown, value, t)


def names_file(value: Any) -> bool:
    """Whether there is anything in it that Gradio could take for a file."""
    if isinstance(value, dict):
        return "path" in value or "_type" in value or any(map(names_file, value.values()))
    return isinstance(value, list) and any(map(names_file, value))


def _holds_text(_: Any, value: Any) -> bool:
    return value is None or isinstance(value, str)


def _holds_truth(_: Any, value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _holds_texts(_: Any, value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _holds_number(_: Any, value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _holds_choice(component: Any, value: Any) -> bool:
    if isinstance(value, list):
        return bool(getattr(component, "multiselect", False)) and all(
            isinstance(each, str | int | float) for each in value
        )
    return value is None or isinstance(value, str | int | float)


def _holds_state(_: Any, value: Any) -> bool:
    return value is None  # Gradio keeps it, and ignores what is sent


def _holds_own(component: Any, value: Any) -> bool:
    """Of the kind of what the studio's script was given at first."""
    return (value is None or isinstance(value, type(component.value))) and not names_file(value)


_VALUE_KINDS: tuple[tuple[tuple[type, ...], Callable[[Any, Any], bool]], ...] = (
    ((gr.Textbox, gr.Code), _holds_text),
    ((gr.Checkbox,), _holds_truth),
    ((gr.Number, gr.Slider), _holds_number),
    ((gr.Radio, gr.Dropdown), _holds_choice),
    ((gr.CheckboxGroup,), _holds_texts),
    ((gr.State,), _holds_state),
    ((gr.HTML,), _holds_own),
)


def _refuse_large(text: str) -> None:
    depth = 0
    for tokens, found in enumerate(_TOKEN.finditer(text)):
        mark = found[0]
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if depth > MOST_DEPTH or tokens > MOST_TOKENS:
            raise JsonRefused(
                f"The request holds more than {MOST_TOKENS:,} values, or more than {MOST_DEPTH} within each other",
                hint="Send less at once",
            )


def _tried(component: Any, value: Any, t: Translate) -> Any:
    """Let the component read it before Gradio does: its choices, bounds and kinds of files."""
    if isinstance(component, gr.State):
        return value
    model = None if value is None else getattr(component, "data_model", None)
    try:
        component.preprocess(model.model_validate(value, context={"validate_meta": True}) if model else value)
    except Exception as error:
        raise ValueRefused(t("error.value", field=component.label or ""), hint=_hint(component, t)) from error
    return value


def _hint(component: Any, t: Translate) -> str:
    match component:
        case gr.Number() | gr.Slider():
            least, most = component.minimum, component.maximum
            return t("error.value.range", least="-∞" if least is None else least, most="∞" if most is None else most)
        case gr.Radio() | gr.Dropdown() | gr.CheckboxGroup():
            return t("error.value.choice")
        case gr.File() | gr.MultimodalTextbox():
            return t("error.value.file", kinds=", ".join(component.file_types or []))
    return t("error.nonsense.hint")


def _box(value: Any, find: FindFile, t: Translate) -> Any:
    """What was typed beside the files that lie with it; nothing is the empty one."""
    value = {"text": "", "files": []} if value is None else value
    is_box = isinstance(value, dict) and isinstance(value.get("text"), str) and isinstance(value.get("files"), list)
    if not is_box or len(value["files"]) > MOST_FILES:
        raise _nonsense(t)
    return {"text": value["text"], "files": [_file(each, find, t) for each in value["files"]]}


def _files(component: gr.File, value: Any, find: FindFile, t: Translate) -> Any:
    listed = value if isinstance(value, list) else [value]
    if value is None or value == []:
        return None
    if len(listed) > MOST_FILES:
        raise _nonsense(t)
    found = [_file(each, find, t) for each in listed]
    return found if component.file_count != "single" else found[0]


def _file(value: Any, find: FindFile, t: Translate) -> dict[str, Any]:
    """One file as Gradio knows it, made of nothing but its path and its names: no address, no stream."""
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        raise _nonsense(t)
    path = find(value["path"])
    if path is None:
        raise ValueRefused(t("error.file"), hint=t("error.file.hint"))
    kept = {name: text for name in ("orig_name", "mime_type") if isinstance(text := value.get(name), str)}
    size = {"size": value["size"]} if isinstance(value.get("size"), int) else {}
    return {"path": path, **{name: text[:MOST_NAME] for name, text in kept.items()}, **size, "meta": _FILE}


def _nonsense(t: Translate) -> ValueRefused:
    return ValueRefused(t("error.nonsense"), hint=t("error.nonsense.hint"))
