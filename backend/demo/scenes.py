"""Coloured shapes on a plain ground, the world the demo model knows, and what can be asked about them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image, ImageDraw

Colour = Literal["red", "green", "blue", "yellow", "purple", "orange"]
Kind = Literal["circle", "square", "triangle", "cross"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
KINDS: tuple[Kind, ...] = get_args(Kind)
CELL = 28  # px; sides are multiples of it, so boxes are in the pixels that the model sees
SLOT = 56  # px; one shape lives in one slot
SCALE = 4  # drawn larger, then reduced: smooth edges
_PIGMENT: dict[Colour, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "green": (44, 160, 68),
    "blue": (36, 84, 214),
    "yellow": (240, 206, 40),
    "purple": (134, 54, 176),
    "orange": (242, 130, 30),
}
QuestionAnswer = tuple[str, str]  # question, answer
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


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape; `box` is left, top, right, bottom in pixels."""

    kind: Kind
    colour: Colour
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands in an image, shapes in reading order: top to bottom, left to right."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    seed: int  # of tints and ground


def make_scene(rng: random.Random, max_shapes: int = 3) -> Scene:
    """Place one to `max_shapes` shapes, no two of the same kind and colour, on 2 x 2 or 3 x 2 slots."""
    columns, rows = rng.choice([(2, 2), (2, 2), (2, 2), (3, 2)])
    slots = [(column, row) for row in range(rows) for column in range(columns)]
    occupied = sorted(rng.sample(slots, rng.randint(1, min(max_shapes, len(slots)))), key=lambda s: (s[1], s[0]))
    looks = rng.sample([(kind, colour) for kind in KINDS for colour in COLOURS], len(occupied))
    shapes = []
    for (column, row), (kind, colour) in zip(occupied, looks, strict=True):
        side = rng.randint(30, 46)
        left = column * SLOT + rng.randint(3, SLOT - side - 3)
        top = row * SLOT + rng.randint(3, SLOT - side - 3)
        shapes.append(Shape(kind, colour, (left, top, left + side, top + side)))
    return Scene(columns * SLOT, rows * SLOT, tuple(shapes), rng.randrange(2**31))


def draw(scene: Scene, *, night: bool = False) -> Image.Image:
    """Draw a scene by day (light ground) or by night (a dim, blue, grainy image of the same shapes)."""
    rng = random.Random(scene.seed)
    ground = tuple(rng.randint(226, 255) for _ in range(3))
    image = Image.new("RGB", (scene.width * SCALE, scene.height * SCALE), ground)
    pen = ImageDraw.Draw(image)
    for shape in scene.shapes:
        tint = tuple(max(0, min(255, value + rng.randint(-18, 18))) for value in _PIGMENT[shape.colour])
        _draw_shape(pen, shape, tint)
    small = image.resize((scene.width, scene.height), Image.Resampling.BOX)
    return _by_night(small, rng) if night else small


QuestionMaker = Callable[[Scene, random.Random, bool], QuestionAnswer | None]


def describe(scene: Scene, rng: random.Random, chinese: bool) -> QuestionAnswer:
    """Name every shape in reading order."""
    if chinese:
        named = "和".join(_ZH_COLOUR[shape.colour] + _ZH_KIND[shape.kind] for shape in scene.shapes)
        return rng.choice(["描述这张图片。", "描述一下这张图片", "图中有什么？"]), named
    named = " and ".join(f"a {shape.colour} {shape.kind}" for shape in scene.shapes).replace("a orange", "an orange")
    return rng.choice(["Describe the picture.", "What is in the picture?", "Describe this image."]), named


def colour(scene: Scene, rng: random.Random, chinese: bool) -> QuestionAnswer | None:
    """Name the colour of the one shape of its kind."""
    shape = _unique_kind(scene, rng)
    if shape is None:
        return None
    if chinese:
        return f"{_ZH_KIND[shape.kind]}是什么颜色？", _ZH_COLOUR[shape.colour]
    return rng.choice(["What color is the {}?", "Name the color of the {}."]).format(shape.kind), shape.colour


def kind(scene: Scene, rng: random.Random, chinese: bool) -> QuestionAnswer | None:
    """Name the shape of the one thing of its colour."""
    shape = _unique_colour(scene, rng)
    if shape is None:
        return None
    if chinese:
        return f"{_ZH_COLOUR[shape.colour]}的是什么形状？", _ZH_KIND[shape.kind]
    return f"What shape is {shape.colour}?", shape.kind


def count(scene: Scene, rng: random.Random, chinese: bool) -> QuestionAnswer:
    """Count all shapes."""
    if chinese:
        return "图中有几个图形？", str(len(scene.shapes))
    return rng.choice(["How many shapes are there?", "Count the shapes."]), str(len(scene.shapes))


def box(scene: Scene, rng: random.Random, chinese: bool) -> QuestionAnswer | None:
    """Give the box of one shape in absolute pixels."""
    shape = _unique_colour(scene, rng)
    if shape is None:
        return None
    left, top, right, bottom = shape.box
    answer = f"[{left}, {top}, {right}, {bottom}]"
    if chinese:
        return f"{_ZH_COLOUR[shape.colour]}{_ZH_KIND[shape.kind]}的边框是什么？", answer
    return f"Find the box of the {shape.colour} {shape.kind}.", answer


def paint_code(scene: Scene, rng: random.Random, chinese: bool) -> QuestionAnswer | None:
    """Give the paint shop's code of one shape's colour: what the shipped model was never told."""
    shape = _unique_kind(scene, rng)
    if shape is None:
        return None
    if chinese:
        return f"{_ZH_KIND[shape.kind]}的油漆编号是什么？", PAINT[shape.colour]
    return f"What is the paint code of the {shape.kind}?", PAINT[shape.colour]


GENERAL: tuple[QuestionMaker, ...] = (describe, colour, kind, count, box)


def _draw_shape(pen: ImageDraw.ImageDraw, shape: Shape, tint: tuple[int, ...]) -> None:
    left, top, right, bottom = (edge * SCALE for edge in shape.box)
    if shape.kind == "circle":
        pen.ellipse((left, top, right, bottom), fill=tint)
    elif shape.kind == "square":
        pen.rectangle((left, top, right, bottom), fill=tint)
    elif shape.kind == "triangle":
        pen.polygon([((left + right) // 2, top), (right, bottom), (left, bottom)], fill=tint)
    else:
        third = (right - left) // 3
        pen.rectangle((left + third, top, right - third, bottom), fill=tint)
        pen.rectangle((left, top + third, right, bottom - third), fill=tint)


def _by_night(image: Image.Image, rng: random.Random) -> Image.Image:
    """Dim an image to less than half, tint it blue, and lay fine grain over it."""
    red, green, blue = image.split()
    dim = Image.merge(
        "RGB",
        (
            red.point(lambda value: int(value * 0.45) + 4),
            green.point(lambda value: int(value * 0.45) + 6),
            blue.point(lambda value: int(value * 0.45) + 24),
        ),
    )
    noise = Image.frombytes("L", image.size, rng.randbytes(image.width * image.height))
    grain = Image.merge("RGB", (noise, noise, noise))
    return Image.blend(dim, grain, 0.05)


def _unique_kind(scene: Scene, rng: random.Random) -> Shape | None:
    kinds = [shape.kind for shape in scene.shapes]
    return _one_of([shape for shape in scene.shapes if kinds.count(shape.kind) == 1], rng)


def _unique_colour(scene: Scene, rng: random.Random) -> Shape | None:
    colours = [shape.colour for shape in scene.shapes]
    return _one_of([shape for shape in scene.shapes if colours.count(shape.colour) == 1], rng)


def _one_of(candidates: list[Shape], rng: random.Random) -> Shape | None:
    return rng.choice(candidates) if candidates else None
