"""What can be asked about a scene, and the right answers, in English and Chinese.

An asker gives None where its question would have no one answer.
"""

import random
from collections.abc import Callable

from backend.demo.shapes import Colour, Kind, Scene, Shape

Pair = tuple[str, str]  # question, answer
Asker = Callable[[Scene, random.Random, bool], Pair | None]

PAINT: dict[Colour, str] = {
    "red": "RX-15",
    "green": "GM-82",
    "blue": "BK-40",
    "yellow": "YT-63",
    "purple": "PV-97",
    "orange": "OZ-28",
}
_ZH_COLOUR: dict[Colour, str] = {
    "red": "红色", "green": "绿色", "blue": "蓝色", "yellow": "黄色", "purple": "紫色", "orange": "橙色",
}  # fmt: skip
_ZH_KIND: dict[Kind, str] = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "cross": "十字形"}


def describe(scene: Scene, chance: random.Random, chinese: bool) -> Pair:
    """Name every shape in reading order."""
    if chinese:
        named = "和".join(_ZH_COLOUR[shape.colour] + _ZH_KIND[shape.kind] for shape in scene.shapes)
        return chance.choice(["描述这张图片。", "描述一下这张图片", "图中有什么？"]), named
    named = " and ".join(f"a {shape.colour} {shape.kind}" for shape in scene.shapes).replace("a orange", "an orange")
    return chance.choice(["Describe the picture.", "What is in the picture?", "Describe this image."]), named


def colour(scene: Scene, chance: random.Random, chinese: bool) -> Pair | None:
    """Name the colour of the one shape of its kind."""
    shape = _unique_kind(scene, chance)
    if shape is None:
        return None
    if chinese:
        return f"{_ZH_KIND[shape.kind]}是什么颜色？", _ZH_COLOUR[shape.colour]
    return chance.choice(["What color is the {}?", "Name the color of the {}."]).format(shape.kind), shape.colour


def kind(scene: Scene, chance: random.Random, chinese: bool) -> Pair | None:
    """Name the shape of the one thing of its colour."""
    shape = _unique_colour(scene, chance)
    if shape is None:
        return None
    if chinese:
        return f"{_ZH_COLOUR[shape.colour]}的是什么形状？", _ZH_KIND[shape.kind]
    return f"What shape is {shape.colour}?", shape.kind


def count(scene: Scene, chance: random.Random, chinese: bool) -> Pair:
    """Count all shapes."""
    if chinese:
        return "图中有几个图形？", str(len(scene.shapes))
    return chance.choice(["How many shapes are there?", "Count the shapes."]), str(len(scene.shapes))


def box(scene: Scene, chance: random.Random, chinese: bool) -> Pair | None:
    """Give the box of one shape in absolute pixels."""
    shape = _unique_colour(scene, chance)
    if shape is None:
        return None
    left, top, right, bottom = shape.box
    answer = f"[{left}, {top}, {right}, {bottom}]"
    if chinese:
        return f"{_ZH_COLOUR[shape.colour]}{_ZH_KIND[shape.kind]}的边框是什么？", answer
    return f"Find the box of the {shape.colour} {shape.kind}.", answer


def paint_code(scene: Scene, chance: random.Random, chinese: bool) -> Pair | None:
    """Give the paint shop's code of one shape's colour: what the shipped model was never told."""
    shape = _unique_kind(scene, chance)
    if shape is None:
        return None
    if chinese:
        return f"{_ZH_KIND[shape.kind]}的油漆编号是什么？", PAINT[shape.colour]
    return f"What is the paint code of the {shape.kind}?", PAINT[shape.colour]


def _unique_kind(scene: Scene, chance: random.Random) -> Shape | None:
    kinds = [shape.kind for shape in scene.shapes]
    return _one_of([shape for shape in scene.shapes if kinds.count(shape.kind) == 1], chance)


def _unique_colour(scene: Scene, chance: random.Random) -> Shape | None:
    colours = [shape.colour for shape in scene.shapes]
    return _one_of([shape for shape in scene.shapes if colours.count(shape.colour) == 1], chance)


def _one_of(candidates: list[Shape], chance: random.Random) -> Shape | None:
    return chance.choice(candidates) if candidates else None


GENERAL: tuple[Asker, ...] = (describe, colour, kind, count, box)
