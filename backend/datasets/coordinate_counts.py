"""What the answers of a dataset count coordinates in, told once it is imported."""

from collections import Counter
from collections.abc import Sequence

from backend.conversation import Row
from backend.coordinates import Bounds, Unit, unit_of
from backend.datasets.image_pool import ImageOutcome
from backend.datasets.problems import counted, quoted
from backend.image_size import resized
from backend.spec.training import ModelKnobs

MIN_SHARE = 0.1  # of all rows: below that the few that look like coordinates are told as nothing
_WORDS: dict[Unit, str] = {
    "pixels": "in pixels of the stored image",
    "fractions": "as fractions from 0 to 1, which are never scaled",
    "unknown": "that are neither pixels of the image nor fractions, and are never scaled",
}


class CoordinateCounts:
    """Counts the rows whose answer holds coordinates, by their unit, with an example of each."""

    def __init__(self) -> None:
        """Begin with no row."""
        self._rows = 0
        self._units: Counter[Unit] = Counter()
        self._examples: dict[Unit, str] = {}
        self._several = self._resized = 0
        self._bounds = ModelKnobs().min_pixels, ModelKnobs().max_pixels

    def add(self, row: Row, images: Sequence[ImageOutcome]) -> None:
        """Count one row with its images."""
        self._rows += 1
        answer = row.gold or ""
        if not images or ("[" not in answer and "(" not in answer and "{" not in answer):
            return
        unit = unit_of(answer, Bounds(images[0].width, images[0].height) if len(images) == 1 else None)
        if unit == "none":
            return
        self._units[unit] += 1
        self._examples.setdefault(unit, quoted(answer, 80))
        if unit == "pixels":
            self._several += len(images) > 1
            size = (images[0].height, images[0].width)
            self._resized += len(images) == 1 and resized(*size, *self._bounds) != size

    def notices(self) -> list[str]:
        """Say what was found, and what a run should be told; empty where hardly any answer holds coordinates."""
        if self._units.total() < MIN_SHARE * self._rows or not self._units:
            return []
        sentences = [
            f"{counted(count, 'answer')} with coordinates {_WORDS[unit]}, e.g. `{self._examples[unit]}`"
            for unit, count in self._units.most_common()
        ]
        if self._resized:
            sentences.append(
                f"{counted(self._resized, 'image')} with coordinates in pixels will be resized for the model: "
                "choose `data.boxes=stored_pixels`, so that they are scaled alike"
            )
        if self._several:
            sentences.append(
                f"{counted(self._several, 'answer')} about several images keep their coordinates: which image is "
                "meant is not known"
            )
        return sentences
