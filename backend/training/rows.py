"""What a run learns from: the training rows of its datasets, mixed by weight, in a seeded order."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset, Sampler

from backend.conversation import Row, render
from backend.datasets.store import DatasetStore
from backend.errors import DatasetError
from backend.ids import DatasetName
from backend.model.encoder import Encoder, Sample
from backend.settings import Workspace
from backend.spec.length import samples_in_pass
from backend.spec.run import RunSpec
from backend.vision_tokens import tokens_for_picture


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset's rows within the mix."""

    name: str
    first: int  # index of its first row in `TrainingRows`
    count: int
    per_epoch: int  # samples drawn in one pass: count x weight, at least 1


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows that are longer than the spec allows."""

    count: int
    longest_tokens: int


class TrainingRows(Dataset[Sample]):
    """Rows of all datasets, encoded when asked for."""

    def __init__(self, spec: RunSpec, workspace: Workspace, encoder: Encoder) -> None:
        """Read the rows of the spec's datasets, leaving out those above `data.max_tokens`.

        Raises:
            NotFoundError: a dataset is gone.
            DatasetError: a dataset has changed since the run was created, or nothing is left to learn from.
        """
        self._encoder = encoder
        self._rows: list[tuple[Row, Path]] = []
        self.sources: list[Source] = []
        too_long: list[int] = []
        store = DatasetStore(workspace)
        for share in spec.data.datasets:
            name = DatasetName(share.name)
            manifest = store.get(name)
            if share.sha256 and manifest.sha256 != share.sha256:
                raise DatasetError(
                    f"Dataset `{name}` has changed since this run was created",
                    hint="Start the run again on its new rows",
                )
            folder, first = store.folder(name), len(self._rows)
            for row in store.rows(name, split="train"):
                tokens = count_tokens(row, folder, encoder)
                if tokens > spec.data.max_tokens:
                    too_long.append(tokens)
                else:
                    self._rows.append((row, folder))
            count = len(self._rows) - first
            if count:
                self.sources.append(Source(share.name, first, count, samples_in_pass(count, share.weight)))
        self.left_out = LeftOut(len(too_long), max(too_long, default=0))
        if not self._rows:
            raise DatasetError(
                f"Every training row is longer than {spec.data.max_tokens:,} tokens (the longest has "
                f"{self.left_out.longest_tokens:,})" if too_long else "The chosen datasets have no training rows",
                hint="Raise `data.max_tokens` or lower `model.max_pixels`",
            )  # fmt: skip

    @property
    def samples_in_pass(self) -> int:
        """Samples of one pass, over all datasets."""
        return sum(source.per_epoch for source in self.sources)

    def __len__(self) -> int:
        """Rows, each counted once."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """Encode one row. Raises DatasetError naming it."""
        row, folder = self._rows[index]
        return self._encoder.encode(
            row.messages, [folder / name for name in row.images], name=f"{folder.name}/{row.id}"
        )


class MixedOrder(Sampler[int]):
    """The order of one pass: each dataset gives `per_epoch` rows, shuffled together by seed and epoch.

    A weight of 2 shows each row twice a pass; a weight of 0.5 shows half of the rows, another half in the next pass.
    The order depends on the spec alone, so every rank has the same.
    """

    def __init__(self, sources: list[Source], seed: int) -> None:
        """Start at epoch 0."""
        self._sources, self._seed, self._epoch = sources, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the pass; the Trainer calls this before each."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Samples of one pass."""
        return sum(source.per_epoch for source in self._sources)

    def __iter__(self) -> Iterator[int]:
        """Yield the row indices of this pass."""
        order = [index for source in self._sources for index in self._drawn(source)]
        random.Random(f"{self._seed}/{self._epoch}").shuffle(order)
        return iter(order)

    def _drawn(self, source: Source) -> Iterator[int]:
        """Walk endlessly through shuffled rounds of the dataset; each pass takes up where the last one ended."""
        position = self._epoch * source.per_epoch
        for place in range(position, position + source.per_epoch):
            lap, offset = divmod(place, source.count)
            yield source.first + self._round(source, lap)[offset]

    def _round(self, source: Source, lap: int) -> list[int]:
        order = list(range(source.count))
        random.Random(f"{self._seed}/{source.name}/{lap}").shuffle(order)
        return order


def count_tokens(row: Row, folder: Path, encoder: Encoder) -> int:
    """Count the tokens of a row exactly, reading only the headers of its pictures."""
    text = "".join(segment.text for segment in render(row.messages))
    tokens = len(encoder.tokenizer(text, add_special_tokens=False)["input_ids"])
    for name in row.images:
        with Image.open(folder / name, formats=("JPEG", "PNG", "WEBP")) as picture:
            width, height = picture.size
        tokens += tokens_for_picture(height, width, encoder.min_pixels, encoder.max_pixels) - 1
    return tokens
