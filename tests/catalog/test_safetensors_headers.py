"""Headers that lie are found, and nothing passes that the library itself would refuse."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_lab import framed, safetensors
from safetensors import SafetensorError, deserialize

from backend.catalog.safetensors_header import HeaderFault, read_header


def entry(shape=(2,), offsets=(0, 8), dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def one(**changes: object) -> bytes:
    return framed(json.dumps({"a": entry() | changes}).encode(), bytes(8))


LIES = {
    "empty": (b"", "0 bytes"),
    "seven bytes": (b"\0" * 7, "7 bytes"),
    "a header of 200 MB": ((200 << 20).to_bytes(8, "little") + bytes(50), "speaks of a header"),
    "a header beyond the end": ((51).to_bytes(8, "little") + bytes(50), "cut off"),
    "no JSON": (framed(b"{{", b""), "not JSON"),
    "another encoding": (framed('{"a": 1}'.encode("utf-16"), b""), "not JSON"),
    "a list": (framed(b"[]", b""), "no table"),
    "NaN": (framed(b'{"a": NaN}', b""), "not JSON"),
    "deep": (framed(b"[" * 200_000, b""), "nested"),
    "twice": (framed(b'{"a": {}, "a": {}}', b""), "twice"),
    "metadata": (framed(b'{"__metadata__": {"a": 1}}', b""), "metadata"),
    "no entry": (framed(b'{"a": 3}', b""), "does not describe"),
    "a field more": (one(code="x"), "does not describe"),
    "dtype": (one(dtype="PICKLE"), "no number format"),
    "dtype of no text": (one(dtype=[]), "no number format"),
    "negative shape": (one(shape=[-2]), "a shape"),
    "shape of truth": (one(shape=[True, 2]), "a shape"),
    "fractions": (one(shape=[2.0]), "a shape"),
    "endless shape": (one(shape=[1] * 17), "a shape"),
    "huge shape": (one(shape=[2**52, 2**52]), "do not take"),
    "place": (one(data_offsets=[8, 0]), "a place"),
    "three places": (one(data_offsets=[0, 4, 8]), "a place"),
    "size": (one(data_offsets=[0, 4]), "do not take"),
    "outside": (framed(json.dumps({"a": entry(offsets=(8, 16))}).encode(), bytes(8)), "bytes of no tensor"),
    "overlap": (framed(json.dumps({"a": entry(), "b": entry(offsets=(4, 12))}).encode(), bytes(12)), "shares bytes"),
    "beyond": (framed(json.dumps({"a": entry()}).encode(), bytes(4)), "speaks of 8"),
    "left over": (framed(json.dumps({"a": entry()}).encode(), bytes(9)), "holds 9 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_c4_a_header_that_lies_is_refused_in_words(lie, tmp_path):
    content, said = LIES[lie]
    (tmp_path / "x.safetensors").write_bytes(content)

    with pytest.raises(HeaderFault, match=said):
        read_header(tmp_path / "x.safetensors")


def test_c4_a_header_of_more_than_its_share_is_not_read(tmp_path):
    """Sound but for its length: blanks at its end are allowed."""
    header = json.dumps({"a": entry()}).encode() + b" " * 25_000_000
    (tmp_path / "x.safetensors").write_bytes(framed(header, bytes(8)))

    with pytest.raises(HeaderFault, match="speaks of a header of 25,000,0"):
        read_header(tmp_path / "x.safetensors")


def test_what_a_sound_file_holds_is_counted(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(safetensors({"a": 3, "none": 0, "b": 5}))

    assert read_header(tmp_path / "x.safetensors") == {"a": 3, "none": 0, "b": 5}


SOUND = safetensors({"model.a": 3, "model.b": 2})


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 9)
)
def test_c4_what_passes_is_what_the_library_reads(tmp_path_factory, flips, cut):
    content = bytearray(SOUND)
    for place, byte in flips:
        content[place] = byte
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(bytes(content[: len(content) - cut]))

    try:
        names = set(read_header(path))
    except HeaderFault:
        return
    assert names == {name for name, _ in library_reads(path.read_bytes())}


def library_reads(content: bytes) -> list:
    try:
        return deserialize(content)
    except SafetensorError as error:
        raise AssertionError(f"the library refuses it: {error}") from error
