"""No text of an upload keeps a pattern busy: twice as long takes about twice as long, whatever it is made of."""

import contextlib
import time

import pytest

from backend.coordinates import Bounds, unit_of
from backend.datasets.image_cells import images_in_cell
from backend.datasets.image_resolver import _numbers
from backend.datasets.turns import RowFault, TurnReader, listed

LENGTH = 30_000
HOSTILE = [
    "['a'" + " " * LENGTH + "x",
    "['a'" + ("  " + "'b'") * 5_000 + "x",
    "<img>" + " " * LENGTH,
    "<img " + "src='a' " * 5_000,
    "![" * LENGTH,
    "<img>" * 10_000,
    "[[1,2]" + "   [1,2]" * 5_000 + "x",
    "(1,2)" + " " * LENGTH + "x",
    "[" * LENGTH,
    "[1," * LENGTH,
    '{"x":' * LENGTH,
    "[{'a': " + "-" * LENGTH,
    "<image" * LENGTH,
    "COCO_" + "_0" * LENGTH,
    "0" * LENGTH,
    "[ [1 , 2 ] " * 3_000,
    "data:" + ";a" * LENGTH,
    "'" * LENGTH,
    "a.png " * 5_000,
    "<|image_" + "1" * LENGTH,
]


def ways(text):
    def in_cell():
        with contextlib.suppress(RowFault):
            images_in_cell(text, "image", lambda _: False)

    return {
        "cell": in_cell,
        "turn": lambda: TurnReader().message("user", text, "turn"),
        "list": lambda: listed(text),
        "coordinates": lambda: unit_of(text, Bounds(100, 100)),
        "number": lambda: _numbers(text),
    }


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:12] for text in HOSTILE])
def test_u20_no_text_keeps_a_pattern_busy(text):
    """A quadratic pattern takes minutes here, a linear one a few milliseconds; the bound is for a very busy machine."""
    for way in ways(text).values():
        begun = time.process_time()
        way()
        assert time.process_time() - begun < 3
