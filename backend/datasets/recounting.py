"""Rows of a stored dataset written anew, with their counts; its pictures are as they were checked by the import."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from backend.conversation import Row
from backend.datasets.pages import RowWriter
from backend.datasets.pictures import PictureOutcome
from backend.datasets.records import Statistics
from backend.datasets.statistics import Tally
from backend.errors import DatasetError

FORMATS = ("JPEG", "PNG", "WEBP")  # what an import stores


class Written(NamedTuple):
    """What was written."""

    sha256: str  # of data.json
    statistics: Statistics


def write_counted(room: Path, rows: Iterable[Row], dataset: Path) -> Written:
    """Write `data.json` and its index into `room`, a folder without them.

    Args:
        room: an existing folder. Left partly filled if this raises.
        rows: in the order of the file.
        dataset: the folder that holds their pictures; only the headers are read.

    Raises:
        DatasetError: a picture cannot be read.
        OSError: the disk refuses.
    """
    tally, known = Tally(), dict[str, PictureOutcome]()
    with RowWriter(room) as writer:
        for row in rows:
            for image in row.images:
                if image not in known:
                    known[image] = _header(dataset / image, row.id)
            writer.add(row)
            tally.add(row, [known[image] for image in row.images])
    return Written(writer.sha256, tally.statistics())


def _header(path: Path, row_id: str) -> PictureOutcome:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return PictureOutcome(
                width=picture.width, height=picture.height, stored=path.name, bytes=path.stat().st_size
            )
    except OSError as error:
        raise DatasetError(
            f"Picture `{path.name}` of row `{row_id}` cannot be read", hint="Check the dataset, then import it again"
        ) from error
