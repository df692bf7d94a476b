"""The probes as a dataset like any other, made when it is asked for; all its rows are held out."""

import hashlib
import io
import tempfile
from pathlib import Path

from PIL import Image

from backend.conversation import PLACEHOLDER, Message, Row
from backend.datasets.making import IMAGES, Making
from backend.datasets.store import DatasetStore
from backend.jsonl import write_atomically
from backend.probes.questions import Probe, probes

PROBES = "general-probes"
VERSION = 1  # of what is asked and drawn: answers to another version cannot be compared
MADE = f"Drawn by the studio, version {VERSION}"
NAME_DIGITS = 24  # of the sha256 of a picture's file


def prepare_probes(store: DatasetStore) -> str:
    """Make the dataset of probes unless it is there as it should be; what differs becomes an earlier version.

    Returns:
        Its name.

    Raises:
        DatasetError: somebody else is changing it, or the disk refuses.
    """
    if PROBES in store.names() and store.get(PROBES).change == MADE:
        return PROBES
    with tempfile.TemporaryDirectory(prefix="probes-") as room:
        pictures: dict[str, Path] = {}
        rows = [_row(probe, Path(room), pictures) for probe in probes()]
        store.put_rows(PROBES, rows, pictures, Making("probes of the studio", "messages", MADE))
    return PROBES


def _row(probe: Probe, room: Path, pictures: dict[str, Path]) -> Row:
    """Write a probe as a row; its picture goes to `room` and, under the name it will have, into `pictures`."""
    names = () if probe.picture is None else (_stored(probe.picture, room, pictures),)
    return Row(
        id=probe.id, split="heldout", images=names, source=MADE, references=probe.references,
        messages=(
            Message(role="user", content=PLACEHOLDER * len(names) + probe.question),
            Message(role="assistant", content=probe.answer),
        ),
    )  # fmt: skip


def _stored(picture: Image.Image, room: Path, pictures: dict[str, Path]) -> str:
    sink = io.BytesIO()
    picture.save(sink, "PNG")
    file = f"{hashlib.sha256(sink.getvalue()).hexdigest()[:NAME_DIGITS]}.png"
    write_atomically(room / file, sink.getvalue())
    pictures[f"{IMAGES}/{file}"] = room / file
    return f"{IMAGES}/{file}"
