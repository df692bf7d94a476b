"""What each kind of component may be sent: held without a server, kind by kind."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from studio.ui.i18n import translator
from studio.web.event_values import ValueRefused, fitting, names_file

FILE = {"_type": "gradio.FileData"}
EN = translator("en")
TEXT, CODE, BOX = gr.Textbox(label="Text"), gr.Code(label="Code"), gr.Checkbox(label="Box")
NUMBER, SLIDER = gr.Number(label="Seed", minimum=0, maximum=9, precision=0), gr.Slider(0, 1, label="Share")
RADIO, CHOICE = gr.Radio(["a", "b"], label="Kind"), gr.Dropdown(["a", "b"], label="Model")
MANY = gr.Dropdown(["a", "b"], multiselect=True, label="Models")
FRAME, LISTED, STATE = gr.HTML(value={}), gr.HTML(value=[]), gr.State("kept")
FILES, ONE = gr.File(file_count="multiple", file_types=[".csv"], label="Files"), gr.File(label="One")
ASKING = gr.MultimodalTextbox(file_types=["image"], label="Question")


def sent(component: Any, value: Any, shown: Any = None, files: dict[str, str] | None = None) -> Any:
    return fitting(component, shown or component, value, (files or {}).get, EN)


@pytest.mark.parametrize(
    ("component", "value"),
    [(TEXT, "x"), (TEXT, None), (CODE, "def f(): ..."), (BOX, True), (BOX, None), (NUMBER, 3), (NUMBER, None),
     (SLIDER, 0.5), (RADIO, "a"), (RADIO, None), (CHOICE, "b"), (MANY, ["a", "b"]), (FRAME, {"a": [{"b": 1}]}),
     (FRAME, None), (LISTED, [{"name": "x"}]), (STATE, None), (FILES, None),
     (ASKING, {"text": "", "files": []})],
)  # fmt: skip
def test_what_a_component_holds_passes_as_it_is(component: Any, value: Any):
    assert sent(component, value) == value


@pytest.mark.parametrize(
    ("component", "value"),
    [(TEXT, 5), (TEXT, {}), (TEXT, ["x"]), (CODE, True), (BOX, 1), (BOX, "x"), (NUMBER, "3"), (NUMBER, True),
     (NUMBER, {}), (SLIDER, []), (RADIO, ["a"]), (RADIO, {}), (CHOICE, {}), (CHOICE, []),
     (CHOICE, ["a"]), (MANY, [["a"]]), (FRAME, "x"),
     (FRAME, []), (LISTED, {}), (STATE, "mine"), (STATE, {}), (FILES, "x"), (FILES, [5]), (FILES, {"path": 5}),
     (ASKING, "x"), (ASKING, {"text": 5, "files": []}), (ASKING, {"text": "x"}), (gr.Image(), None)],
)  # fmt: skip
def test_w16_a_value_of_another_kind_is_refused(component: Any, value: Any):
    with pytest.raises(ValueRefused, match="cannot have meant"):
        sent(component, value)


@pytest.mark.parametrize(
    ("component", "value", "hint"),
    [(NUMBER, 10, "from 0 to 9"), (NUMBER, -1, "from 0 to 9"), (SLIDER, 1.5, "from 0 to 1"), (SLIDER, None, "from 0"),
     (RADIO, "c", "from the list"), (CHOICE, "c", "from the list"), (MANY, ["a", "c"], "from the list")],
)  # fmt: skip
def test_w19_a_value_out_of_bounds_is_refused_by_the_name_of_its_field(component: Any, value: Any, hint: str):
    with pytest.raises(ValueRefused) as caught:
        sent(component, value)

    assert component.label in caught.value.message
    assert hint in caught.value.hint


def test_a_question_that_was_not_typed_is_an_empty_one():
    assert sent(ASKING, None) == {"text": "", "files": []}


def test_choices_are_those_that_the_visitors_page_has_now():
    assert sent(CHOICE, "new", shown=gr.Dropdown(["new"])) == "new"


@pytest.mark.parametrize(
    "value",
    [{"path": "/etc/shadow", "meta": FILE}, {"a": [{"b": {"path": "x"}}]}, [{"_type": "gradio.FileData"}]],
)
def test_w16_nothing_but_a_file_component_takes_a_file(value: Any):
    assert names_file(value)
    for component in (TEXT, CODE, BOX, NUMBER, SLIDER, RADIO, CHOICE, MANY, FRAME, LISTED, STATE):
        with pytest.raises(ValueRefused):
            sent(component, value)


def test_w16_a_file_goes_by_the_name_that_its_visitor_was_told_and_is_nothing_but_its_path(tmp_path: Path):
    table, known = tmp_path / "a.csv", "own/0/a.csv"
    table.write_text("a\n1\n")
    asked = {"path": known, "url": "http://evil.example/a", "is_stream": True, "orig_name": "a.csv", "size": 4,
             "meta": {"_type": "gradio.FileData", "more": 1}}  # fmt: skip

    (taken,) = sent(FILES, [asked], files={known: str(table)})

    assert taken == {"path": str(table), "orig_name": "a.csv", "size": 4, "meta": FILE}
    for path in (str(table), "/dev/zero", "http://127.0.0.1/a.csv", "own/1/a.csv", ""):
        for component, value in ((FILES, [{"path": path, "meta": FILE}]), (ONE, {"path": path, "meta": FILE}),
                                 (ASKING, {"text": "x", "files": [{"path": path, "meta": FILE}]})):  # fmt: skip
            with pytest.raises(ValueRefused, match="not here any more"):
                sent(component, value, files={known: str(table)})


def test_a_file_of_a_kind_that_is_not_taken_is_refused_with_those_that_are(tmp_path: Path):
    with pytest.raises(ValueRefused) as caught:
        sent(FILES, [{"path": "own/0/a.exe", "meta": FILE}], files={"own/0/a.exe": str(tmp_path / "a.exe")})

    assert caught.value.hint == "These kinds of files are taken: .csv"


def test_w16_every_component_that_an_event_takes_is_of_a_kind_that_is_known(assembled: dict[str, Any]):
    assert assembled["inputs"] > 200
    assert assembled["refused"] == []
