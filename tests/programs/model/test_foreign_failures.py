"""What a library raises of a foreign file is said as what it is, with advice that fits."""

import json
import shutil

import pytest

pytestmark = pytest.mark.torch


class PanicException(BaseException):
    """As the tokenizers library raises where it fails inside: no Exception."""


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (MemoryError(), "Try a smaller image"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "Try a smaller image"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "Try a smaller image"),
        (Exception("recursion limit exceeded at line 1 column 5398"), "studio models check"),
        (IndexError("index out of range in self"), "studio models check"),
        (PanicException("Onig: retry-limit-in-match over"), "studio models check"),
    ],
)
def test_an_answer_that_fails_says_what_helps_against_it(error, hint):
    from backend.programs.inference.__main__ import _step

    def failing():
        raise error
        yield

    failure = _step(7, failing())

    assert failure.id == 7
    assert (str(error) or "MemoryError") in failure.message
    assert hint in failure.hint


def test_a_tokenizer_that_cannot_be_built_is_named_with_the_reason(untrained, tmp_path):
    from backend.errors import CheckpointError
    from backend.programs.model.encoder import Encoder

    folder = tmp_path / "theirs"
    shutil.copytree(untrained, folder)
    (folder / "tokenizer.json").write_text('{"model": {"type": "BPE"}}')

    with pytest.raises(CheckpointError, match="tokenizer or processor of `theirs` cannot be loaded: "):
        Encoder(folder, 4 * 784, 64 * 784)


def test_rows_are_measured_whole_whatever_their_trainer_left_in_the_tokenizer(untrained, tmp_path):
    from backend.conversation import Message, Row
    from backend.row_length import RowMeter

    folder = tmp_path / "theirs"
    shutil.copytree(untrained, folder)
    said = json.loads((folder / "tokenizer.json").read_text())
    said |= {
        "truncation": {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 4000}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "x"},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(said))
    turns = (Message(role="user", content="What is it?"), Message(role="assistant", content="A circle."))
    row = Row(id="1", split="train", images=(), messages=turns, source="a.json row 1")

    assert RowMeter(folder).size(row, tmp_path) == RowMeter(untrained).size(row, tmp_path)
