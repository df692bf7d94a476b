"""Headers that lie are found, and nothing passes that the library itself would refuse."""

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_lab import framed, safetensors
from safetensors import SafetensorError, deserialize

from backend.catalog.model_files import BrokenWeightsError, tensor_sizes


def entry(shape=(2,), offsets=(0, 8), dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def one(**changes: object) -> bytes:
    return framed(json.dumps({"a": entry() | changes}).encode(), bytes(8))


LIES = {
    "empty": (b"", "0 bytes"),
    "seven bytes": (b"\0" * 7, "7 bytes"),
    "a header of 200 MB": ((200 << 20).to_bytes(8, "little") + bytes(50), "speaks of a header"),
    "a header beyond the end": ((51).to_bytes(8, "little") + bytes(50), "cut off"),
    "no JSON": (framed(b"{{", b""), "invalid JSON"),
    "another encoding": (framed('{"a": 1}'.encode("utf-16"), b""), "invalid UTF-8"),
    "a list": (framed(b"[]", b""), "invalid type: sequence"),
    "NaN": (framed(b'{"a": NaN}', b""), "invalid JSON"),
    "deep": (framed(b"[" * 200_000, b""), "invalid JSON"),
    "twice": (framed(b'{"a": {}, "a": {}}', b""), "missing field"),
    "metadata": (framed(b'{"__metadata__": {"a": 1}}', b""), "expected a string"),
    "no entry": (framed(b'{"a": 3}', b""), "expected struct TensorInfo"),
    "dtype": (one(dtype="PICKLE"), "unknown variant `PICKLE`"),
    "dtype of no text": (one(dtype=[]), "expected string"),
    "negative shape": (one(shape=[-2]), "integer `-2`"),
    "shape of truth": (one(shape=[True, 2]), "boolean `true`"),
    "fractions": (one(shape=[2.0]), "floating point"),
    "endless shape": (one(shape=[1] * 17), "invalid shape"),
    "huge shape": (one(shape=[2**52, 2**52]), "overflow"),
    "place": (one(data_offsets=[8, 0]), "invalid offset for tensor `a`"),
    "three places": (one(data_offsets=[0, 4, 8]), "expected 2 elements"),
    "size": (one(data_offsets=[0, 4]), "invalid shape, data type, or offset"),
    "outside": (framed(json.dumps({"a": entry(offsets=(8, 16))}).encode(), bytes(8)), "invalid offset for tensor `a`"),
    "overlap": (framed(json.dumps({"a": entry(), "b": entry(offsets=(4, 12))}).encode(), bytes(12)), "tensor `b`"),
    "beyond": (framed(json.dumps({"a": entry()}).encode(), bytes(4)), "not fully covered"),
    "left over": (framed(json.dumps({"a": entry()}).encode(), bytes(9)), "not fully covered"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_c4_a_header_that_lies_is_refused_in_words(lie, tmp_path):
    content, said = LIES[lie]
    (tmp_path / "x.safetensors").write_bytes(content)

    with pytest.raises(BrokenWeightsError, match=said):
        tensor_sizes(tmp_path / "x.safetensors")


def test_c4_a_header_of_more_than_its_share_is_not_read(tmp_path):
    """Sound but for its length: blanks at its end are allowed."""
    header = json.dumps({"a": entry()}).encode() + b" " * 25_000_000
    (tmp_path / "x.safetensors").write_bytes(framed(header, bytes(8)))

    with pytest.raises(BrokenWeightsError, match="speaks of a header of 25,000,0"):
        tensor_sizes(tmp_path / "x.safetensors")


def test_what_a_sound_file_holds_is_counted(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(safetensors({"a": 3, "none": 0, "b": 5}))

    assert tensor_sizes(tmp_path / "x.safetensors") == {"a": 3, "none": 0, "b": 5}


def test_the_header_is_read_without_torch(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors({"a": 3}))
    code = "import sys, pathlib; from backend.catalog.model_files import tensor_sizes; "
    code += f"print(tensor_sizes(pathlib.Path({str(path)!r})), 'torch' in sys.modules)"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert shown.strip() == "{'a': 3} False"


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
        sizes = tensor_sizes(path)
    except BrokenWeightsError:
        return
    read = library_reads(path.read_bytes())
    assert sizes == {name: math.prod(tensor["shape"]) for name, tensor in read}


def library_reads(content: bytes) -> list:
    try:
        return deserialize(content)
    except SafetensorError as error:
        raise AssertionError(f"the library refuses it: {error}") from error
