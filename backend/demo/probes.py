"""Probe questions: a few short ones for each ability, the same every time, as a dataset of validation rows."""

import hashlib
import io
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from backend.conversation import PLACEHOLDER, Message, Row
from backend.datasets.store import DatasetStore
from backend.datasets.subsets import IMAGES, Provenance
from backend.demo import scenes
from backend.demo.scenes import COLOURS, KINDS, Kind, QuestionAnswer, Scene, Shape, draw, make_scene
from backend.jsonl import write_atomically

ROWS_PER_ABILITY = 6
SEED = 20
WIDTH_PX, HEIGHT_PX, SHAPE_PX, EDGE_PX = 168, 112, 46, 5  # of an image with one shape on either side
PRINT_PX, PRINT_SIZE_PX = (224, 84), 40
INK, PAPER = (20, 20, 20), (250, 250, 250)
WORDS = ("HELLO", "4071", "WINTER", "95", "PAPER", "2618")
SUMS = (("7 + 5", "12"), ("14 - 6", "8"), ("3 * 4", "12"), ("20 / 5", "4"), ("25 + 17", "42"), ("9 * 6", "54"))
IN_FORM = (
    ("Name the capital of France. Answer with one word.", "Paris", ()),
    ("Is ice warmer than steam? Answer with exactly `yes` or `no`, in lower case.", "no", ()),
    ('Write the word "cat" in capital letters. Answer with that word only.', "CAT", ()),
    ("Count from 1 to 5. Answer with numbers separated by commas, without blanks.", "1,2,3,4,5", ()),
    ('Which day follows Monday? Answer as JSON: {"day": "..."}', '{"day": "Tuesday"}', ('{"day":"Tuesday"}',)),
    ("What is the opposite of hot? Answer with one word, in lower case.", "cold", ()),
)
ProbeContent = tuple[str, str, tuple[str, ...], Image.Image | None]  # question, answer, references, image
PROBES = "general-probes"
VERSION = 1  # of what is asked and drawn: answers to another version cannot be compared
CHANGE = f"Drawn by the studio, version {VERSION}"
NAME_DIGITS = 24  # of the sha256 of an image's file


class Probe(NamedTuple):
    """One question. `image` is None where the text alone is asked about."""

    id: str
    question: str
    answer: str
    references: tuple[str, ...] = ()  # other answers that are as good
    image: Image.Image | None = None


def probes() -> list[Probe]:
    """Every probe; its id is its ability and a number, such as `colour-01`."""
    return [
        Probe(f"{ability}-{number:02d}", *content)
        for ability, ask in ABILITIES.items()
        for number, content in enumerate(_distinct_questions(ability, ask), start=1)
    ]


def _colour(rng: random.Random, number: int) -> ProbeContent | None:
    scene = make_scene(rng)
    pair = scenes.colour(scene, rng, False)
    return None if pair is None else _with_length_hint(pair, number, (pair[1].capitalize(),), draw(scene))


def _count(rng: random.Random, number: int) -> ProbeContent | None:
    scene = make_scene(rng, 1 + number % 4)
    if len(scene.shapes) != 1 + number % 4:
        return None
    names = ("one", "two", "three", "four")
    question = ("How many shapes are there?", "Count the shapes.")[number // 4]
    return _with_length_hint((question, str(len(scene.shapes))), number, (names[len(scene.shapes) - 1],), draw(scene))


def _yes_or_no(rng: random.Random, number: int) -> ProbeContent | None:
    scene = make_scene(rng)
    kinds = {shape.kind for shape in scene.shapes}
    kind = rng.choice(KINDS)
    if (kind in kinds) != (number % 2 == 0):
        return None
    answer = "yes" if kind in kinds else "no"
    return f"Is there a {kind} in the picture? Answer with yes or no.", answer, (answer.capitalize(),), draw(scene)


def _side(rng: random.Random, number: int) -> ProbeContent:
    first, second = rng.sample(KINDS, 2)
    scene = _two_sides(first, second, rng)
    side, kind = (("left", first), ("right", second))[number % 2]
    question = f"Is the {kind} on the left or on the right? Answer with one word."
    return question, side, (side.capitalize(),), draw(scene)


def _read(rng: random.Random, number: int) -> ProbeContent:
    del rng
    image = Image.new("RGB", PRINT_PX, PAPER)
    middle = PRINT_PX[0] // 2, PRINT_PX[1] // 2
    ImageDraw.Draw(image).text(middle, WORDS[number], INK, ImageFont.load_default(PRINT_SIZE_PX), anchor="mm")
    what = "number" if WORDS[number].isdecimal() else "word"
    return f"Which {what} is printed in the picture? Answer with the {what} only.", WORDS[number], (), image


def _sum(rng: random.Random, number: int) -> ProbeContent:
    del rng
    task, result = SUMS[number]
    return f"What is {task}? Answer with the number only.", result, (), None


def _chinese(rng: random.Random, number: int) -> ProbeContent | None:
    scene = make_scene(rng)
    pair = (scenes.colour, scenes.kind)[number % 2](scene, rng, True)
    return None if pair is None else (*pair, (), draw(scene))


def _in_form(rng: random.Random, number: int) -> ProbeContent:
    del rng
    return (*IN_FORM[number], None)


ABILITIES: dict[str, Callable[[random.Random, int], ProbeContent | None]] = {
    "colour": _colour,
    "count": _count,
    "yesno": _yes_or_no,
    "side": _side,
    "read": _read,
    "sum": _sum,
    "chinese": _chinese,
    "format": _in_form,
}


def prepare_probes(store: DatasetStore) -> str:
    """Make the dataset of probes unless it is there as it should be; what differs becomes an earlier version.

    Returns:
        Its name.

    Raises:
        DatasetError: somebody else is changing it, or the disk refuses.
    """
    if PROBES in store.names() and store.get(PROBES).change == CHANGE:
        return PROBES
    with tempfile.TemporaryDirectory(prefix="probes-") as folder:
        images: dict[str, Path] = {}
        rows = [_row(probe, Path(folder), images) for probe in probes()]
        store.put_rows(PROBES, rows, images, Provenance("probes of the studio", "messages", CHANGE))
    return PROBES


def _distinct_questions(
    ability: str, make_question: Callable[[random.Random, int], ProbeContent | None]
) -> Iterator[ProbeContent]:
    """Ask until there are enough questions that have one answer, no two of them alike."""
    rng, questions = random.Random(f"{SEED}/{ability}"), set[tuple[str, str]]()
    while len(questions) < ROWS_PER_ABILITY:
        content = make_question(rng, len(questions))
        if content is not None and content[:2] not in questions:
            questions.add(content[:2])
            yield content


def _two_sides(left: Kind, right: Kind, rng: random.Random) -> Scene:
    top, colours = (HEIGHT_PX - SHAPE_PX) // 2, rng.sample(COLOURS, 2)
    starts = EDGE_PX, WIDTH_PX - EDGE_PX - SHAPE_PX
    shapes = tuple(
        Shape(kind, colour, (start, top, start + SHAPE_PX, top + SHAPE_PX))
        for kind, colour, start in zip((left, right), colours, starts, strict=True)
    )
    return Scene(WIDTH_PX, HEIGHT_PX, shapes, rng.randrange(2**31))


def _with_length_hint(
    pair: QuestionAnswer, number: int, references: tuple[str, ...], image: Image.Image
) -> ProbeContent:
    hint = " Answer with one word." if number % 2 else ""
    return f"{pair[0]}{hint}", pair[1], references, image


def _row(probe: Probe, folder: Path, images: dict[str, Path]) -> Row:
    """Write a probe as a row; its image goes to `room` and, under the name it will have, into `images`."""
    names = () if probe.image is None else (_stored(probe.image, folder, images),)
    return Row(
        id=probe.id,
        split="validation",
        images=names,
        source=CHANGE,
        references=probe.references,
        messages=(
            Message(role="user", content=PLACEHOLDER * len(names) + probe.question),
            Message(role="assistant", content=probe.answer),
        ),
    )


def _stored(image: Image.Image, folder: Path, images: dict[str, Path]) -> str:
    sink = io.BytesIO()
    image.save(sink, "PNG")
    file = f"{hashlib.sha256(sink.getvalue()).hexdigest()[:NAME_DIGITS]}.png"
    write_atomically(folder / file, sink.getvalue())
    images[f"{IMAGES}/{file}"] = folder / file
    return f"{IMAGES}/{file}"
