"""A row as a question: its boxes stand in the pixels that the model sees, wherever they are named."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.conversation import Message, Row
from backend.programs.evaluation.rows import stored_answer
from backend.programs.model.prompts import PromptRow, with_same_columns
from backend.row_length import RowFit
from backend.spec.run import RunSpec

STORED = RunSpec().with_values({"data.boxes": "stored_pixels", "model.max_pixels": 112 * 112})


@pytest.fixture
def question() -> PromptRow:
    """About an image of 448 x 448 px, of which the model sees a quarter of each side."""
    row = Row(
        id="1", split="train", images=("images/a.png",), source="",
        messages=(Message(role="user", content="<image>What is in [40, 80, 120, 160]?"),
                  Message(role="assistant", content="A cup at [40, 80, 120, 160]")),
        references=("A mug at [44, 84, 116, 156]", "A cup"),
    )  # fmt: skip
    return PromptRow(row, Path("shapes"), RowFit(40, 112 * 112, is_shrunk=False, images=((448, 448),)))


def test_boxes_of_questions_answers_and_references_are_scaled_alike(question: PromptRow):
    columns = question.columns(STORED)

    assert columns["prompt"] == [{"role": "user", "content": "<image>What is in [10, 20, 30, 40]?"}]
    assert columns["answer"] == columns["solution"] == "A cup at [10, 20, 30, 40]"
    assert columns["references"] == ["A mug at [11, 21, 29, 39]", "A cup"]
    assert columns["image_sizes"] == [[112, 112]]


def test_boxes_that_count_as_written_stay(question: PromptRow):
    columns = question.columns(STORED.with_values({"data.boxes": "as_written"}))

    assert columns["prompt"][0]["content"] == question.row.messages[0].content
    assert columns["references"] == list(question.row.references)


def test_rewards_get_the_other_columns_of_a_row_and_never_in_place_of_ours(question: PromptRow):
    own = {"tolerance": 0.5, "solution": "Because.", "answer": "no", "images": ["x"], "prompt": "no", "image": "x"}
    with_own = replace(question, row=question.row.model_copy(update={"columns": own}))

    columns = with_own.columns(STORED)

    assert (columns["tolerance"], columns["solution"]) == (0.5, "Because.")
    assert {name: columns[name] for name in question.columns(STORED) if name != "solution"} == {
        name: value for name, value in question.columns(STORED).items() if name != "solution"
    }
    assert "image" not in columns


def test_rows_that_lack_a_column_have_none_in_it(question: PromptRow):
    with_own = replace(question, row=question.row.model_copy(update={"columns": {"tolerance": 0.5}}))

    rows = with_same_columns([question.columns(STORED), with_own.columns(STORED)])

    assert [row["tolerance"] for row in rows] == [None, 0.5]


@pytest.mark.parametrize(
    ("gold", "answer", "stored"),
    [
        ("A cup at [40, 80, 120, 160]", "[10, 20, 30, 40]", "[40, 80, 120, 160]"),
        ("[40, 80, 900, 950]", "[10, 20, 900, 940]", "[10, 20, 900, 940]"),  # thousandths: neither is scaled
    ],
)
def test_what_a_model_wrote_is_counted_as_its_gold_answer_is(question: PromptRow, gold: str, answer: str, stored: str):
    other = replace(question, row=question.row.with_gold(gold))

    assert stored_answer(answer, other, STORED) == stored
