"""Zips of any making through the real import: a dataset that reads back whole, or a coded refusal, and nothing else."""

import io
import json
import zipfile
from typing import NamedTuple

from fuzzing import damaged, damages, fuzz, texts
from hypothesis import event, given
from hypothesis import strategies as st
from importing import imported, leavings

from tests.datasets.dataset_lab import asked, image_bytes

ROWS = json.dumps([asked(None, f"Question {n}", f"Answer {n}") for n in range(3)]).encode()
WITH_IMAGE = json.dumps([asked("a.png"), asked(None, "Question", "Answer")]).encode()
IMAGE = image_bytes((28, 28))
NAMES = ("data.json", "train.jsonl", "images/a.png", "a.png", "x/data.json", "rows.csv", "dataset_info.json", "dir/")


class Part(NamedTuple):
    """One file of a zip as it is drawn."""

    name: str
    content: bytes
    method: int
    flags: int
    kind: int  # what the operating system is told about the file
    size: int | None  # as the archive says, where that is a lie


@st.composite
def parts(draw: st.DrawFn) -> Part:
    """Half of them with a plain name and nothing odd about them."""
    contents = st.one_of(st.sampled_from([ROWS, IMAGE, WITH_IMAGE, b"", b"[]", b"{}"]), st.binary(max_size=80))
    if draw(st.booleans()):
        return Part(draw(st.sampled_from(NAMES)), draw(contents), draw(st.sampled_from([0, 8, 12, 14])), 0, 0, None)
    names = st.one_of(st.sampled_from(NAMES), texts(40, surrogates=False))
    return Part(
        draw(names), draw(contents), draw(st.sampled_from([0, 8, 8, 12, 14])),
        draw(st.sampled_from([0, 0, 0, 0, 1, 0x800, 0x40, 0xFFFF])), draw(st.sampled_from([0, 0, 0o100644, 0o120777])),
        draw(st.sampled_from([None, None, None, 0, 2**31, 2**40])),
    )  # fmt: skip


def packed(drawn: list[Part]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as zipped:
        for part in drawn:
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type, entry.external_attr = part.name, part.method, part.kind << 16
            zipped.writestr(entry, part.content)
            entry.flag_bits |= part.flags
            entry.file_size = entry.file_size if part.size is None else part.size
    return sink.getvalue()


@fuzz(35)
@given(st.lists(parts(), max_size=4), st.booleans(), damages())
def test_u1_u4_u5_u18_any_zip_is_imported_whole_or_refused_with_a_code(workspace, drawn, has_rows, done):
    rows = [Part("rows.json", ROWS, 8, 0, 0, None)] if has_rows else []
    content = damaged(packed_without_warning([*rows, *drawn]), done)

    kept = imported(workspace, "upload.zip", content)

    event("imported" if kept else "refused")
    assert leavings(workspace.root) == set()


@fuzz(25)
@given(damages())
def test_u4_u18_a_sound_zip_with_damage_is_imported_whole_or_refused(workspace, done):
    sound = [Part("data.json", ROWS, 8, 0, 0, None), Part("图/b.jsonl", b'{"a": 1}\n', 0, 0, 0, None)]

    kept = imported(workspace, "upload.zip", damaged(packed(sound), done))

    assert kept or done  # untouched it is imported


def packed_without_warning(drawn: list[Part]) -> bytes:
    seen: dict[str, Part] = {}  # zipfile warns of a second one of a name; `repeat` and `flip` make those too
    for part in drawn:
        seen.setdefault(part.name, part)
    return packed(list(seen.values()))
