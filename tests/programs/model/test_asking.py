"""A row as a question: its boxes stand in the pixels that the model sees, wherever they are named."""

from pathlib import Path

import pytest

from backend.conversation import Message, Row
from backend.programs.model.prompts import PromptRow
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
