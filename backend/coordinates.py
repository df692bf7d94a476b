"""Coordinates in answers: found in every notation that is written in pixels, judged by their unit, and scaled.

| notation | example |
|---|---|
| a box | `[10, 20, 30, 40]`, `{"bbox_2d": [10, 20, 30, 40]}` |
| corners | `(10,20),(30,40)`, `<|box_start|>(10,20),(30,40)<|box_end|>`, `click(start_box='(10,20)')` |
| a point | `{"point_2d": [10, 20]}`, `{"coordinate": [10, 20]}` |
| a polygon or quadrilateral | `[[10, 20], [30, 20], [30, 40], [10, 40]]` |
| named sides | `{"x1": 10, "y1": 20, "x2": 30, "y2": 40}`, `{"x": 10, "y": 20, "width": 20, "height": 20}` |
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Unit = Literal["none", "pixels", "fractions", "unknown"]
BEYOND = 1.01  # of a side: annotations end a little outside
_N = r"\s*-?\d+(?:\.\d+)?\s*"
_PATTERNS = (  # longer ones first; each is made of numbers that go across and down in turn
    re.compile(rf"\[\s*\[{_N},{_N}\](?:\s*(?:,\s*)?\[{_N},{_N}\])*\s*(?:,\s*)?\]"),  # points in a list
    re.compile(rf"\[{_N}(?:,{_N},{_N},{_N}){{1}}\]"),  # a box
    re.compile(rf"\((?:{_N}),(?:{_N})\)\s*(?:,\s*)?\((?:{_N}),(?:{_N})\)"),  # two corners
    re.compile(rf"(?:box|point)s?=\W{{0,3}}\({_N},{_N}\)"),  # of an agent's act
    re.compile(rf'"(?:point|point_2d|coordinate|position|center)"\s*:\s*\[{_N},{_N}\]'),
)
_NAMED = re.compile(r"\{[^{}]*\}")
_ACROSS = ("x", "x1", "x2", "xmin", "xmax", "x_min", "x_max", "left", "right", "width", "w", "cx")
_DOWN = ("y", "y1", "y2", "ymin", "ymax", "y_min", "y_max", "top", "bottom", "height", "h", "cy")
_SIDES = (
    {"x1", "y1", "x2", "y2"}, {"xmin", "ymin", "xmax", "ymax"}, {"x_min", "y_min", "x_max", "y_max"},
    {"left", "top", "right", "bottom"}, {"x", "y", "width", "height"}, {"x", "y", "w", "h"},
)  # fmt: skip
_FIELD = re.compile(rf'"(\w+)"\s*:({_N})(?=[,}}\s])')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Coordinate(NamedTuple):
    """One number of a text: where it stands, and which way it goes."""

    start: int
    end: int
    value: float
    is_across: bool
    is_whole: bool  # written without a point


class Bounds(NamedTuple):
    """The size in px of the image that coordinates are on."""

    width: int
    height: int


def unit_of(text: str, bounds: Bounds | None) -> Unit:
    """Tell what the coordinates of a text are counted in.

    Fractions are all at most 1 with decimals. Numbers beyond the sides of their image, and boxes whose corners are in
    the wrong order, are no pixels of it.

    Args:
        text: an answer, or any turn.
        bounds: of its image; None where that is not known, as for what a model wrote.
    """
    spans = list(_spans(text))
    if not spans:
        return "none"
    numbers = [number for span in spans for number in span]
    if all(0 <= number.value <= 1 for number in numbers) and not all(number.is_whole for number in numbers):
        return "fractions"
    if bounds is None:
        return "pixels"
    limit = {True: bounds.width * BEYOND, False: bounds.height * BEYOND}
    if any(not 0 <= number.value <= limit[number.is_across] for number in numbers):
        return "unknown"
    return "pixels" if all(map(_is_ordered, spans)) else "unknown"


def scaled_coordinates(text: str, across: float, down: float, bounds: Bounds | None = None) -> str:
    """Scale every coordinate of a text to whole pixels, where they are pixels; everything else stays as it is.

    One text never ends up in two units: all of its coordinates are scaled, or none.
    """
    if unit_of(text, bounds) != "pixels":
        return text
    scaled, end = [], 0
    for number in sorted(number for span in _spans(text) for number in span):
        factor = across if number.is_across else down
        scaled += [text[end : number.start], str(round(number.value * factor))]
        end = number.end
    return "".join([*scaled, text[end:]])


def _spans(text: str) -> Iterator[list[Coordinate]]:
    """The coordinates of a text, those of one box, point or polygon together."""
    taken: list[tuple[int, int]] = []
    for match in _NAMED.finditer(text):
        fields = list(_FIELD.finditer(match[0]))
        if any(sides <= {field[1] for field in fields} for sides in _SIDES):
            inside = [field for field in fields if field[1] in _ACROSS + _DOWN]
            yield [
                _coordinate(text, number, field[1] in _ACROSS)
                for field in inside
                if (number := _NUMBER.search(text, match.start() + field.start(2)))
            ]
            taken += [(match.start() + field.start(), match.start() + field.end()) for field in inside]
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if any(start < match.end() and match.start() < end for start, end in taken):
                continue
            taken.append(match.span())
            first = match.end() - len(re.split(r"[:=]", match[0], maxsplit=1)[-1])
            numbers = _NUMBER.finditer(text, first, match.end())
            yield [_coordinate(text, number, place % 2 == 0) for place, number in enumerate(numbers)]


def _coordinate(text: str, number: re.Match[str], is_across: bool) -> Coordinate:
    written = text[number.start() : number.end()]
    return Coordinate(number.start(), number.end(), float(written), is_across, "." not in written)


def _is_ordered(span: list[Coordinate]) -> bool:
    """Whether a box goes right and down; points and polygons may go anywhere."""
    if len(span) != 4:
        return True
    left, top, right, bottom = (number.value for number in span)
    return left <= right and top <= bottom
