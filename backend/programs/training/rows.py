"""What a run learns from: the training rows of its datasets, mixed by weight, in a seeded order."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch.utils.data import Dataset

from backend.datasets.store import DatasetStore
from backend.errors import DatasetError
from backend.ids import DatasetName
from backend.programs.model.encoder import Encoder, Sample
from backend.programs.model.prompts import PromptRow
from backend.row_length import RowFit, RowMeter, fit
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.spec.steps import samples_per_epoch


@dataclass(frozen=True, slots=True)
class DatasetSlice:
    """One dataset's rows within the mix."""

    name: str
    first: int  # index of its first row in `TrainingRows`
    count: int
    per_epoch: int  # samples of one epoch: count x weight, at least 1


@dataclass(slots=True)
class TooLongRows:
    """Rows that are longer than the spec allows."""

    left_out: int = 0
    shrunk: int = 0  # kept, with smaller images
    longest_tokens: int = 0

    def note(self, tokens: int, row_fit: RowFit | None) -> None:
        """Count one row of `tokens` that fits so, or not at all."""
        if row_fit is None or row_fit.is_shrunk:
            self.longest_tokens = max(self.longest_tokens, tokens)
            self.left_out += row_fit is None
            self.shrunk += row_fit is not None


class TrainingRows(Dataset[Sample]):
    """Rows of all datasets, encoded when asked for. Their lengths are known from the start."""

    def __init__(self, spec: RunSpec, workspace: Workspace, encoder: Encoder, meter: RowMeter) -> None:
        """Read the rows of the spec's datasets in their recorded versions; leave out or shrink what is too long.

        Raises:
            NotFoundError: a dataset is gone.
            DatasetError: a dataset no longer has the version that the run was created with, or nothing is left to learn
                from.
        """
        self._spec, self._encoder, self._meter = spec, encoder, meter
        self._rows: list[tuple[PromptRow, int]] = []  # and the place of its source
        self.sources: list[DatasetSlice] = []
        self.too_long = TooLongRows()
        store = DatasetStore(workspace)
        for share in spec.data.datasets:
            name, first = DatasetName(share.name), len(self._rows)
            self._take(store, name, share.sha256)
            count = len(self._rows) - first
            if count:
                self.sources.append(DatasetSlice(share.name, first, count, samples_per_epoch(count, share.weight)))
        self._refuse_nothing()

    @property
    def samples_per_epoch(self) -> int:
        """Samples of one epoch, over all datasets."""
        return sum(source.per_epoch for source in self.sources)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [question.fit.tokens for question, _ in self._rows]

    def __len__(self) -> int:
        """Rows, each counted once."""
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        """Encode one row. Raises DatasetError naming it."""
        question, source = self._rows[index]
        return replace(question.encoded(self._spec, self._encoder), source=source)

    def question(self, index: int) -> PromptRow:
        """One row, to be asked."""
        return self._rows[index][0]

    def _take(self, store: DatasetStore, name: DatasetName, sha256: str) -> None:
        folder, place = store.folder(name), len(self.sources)
        for row in store.rows(name, split="train", sha256=sha256):
            if self._spec.kind != "sft" and row.messages[-1].role != "assistant":
                continue  # nothing to compare an answer with
            size = self._meter.size(row, folder)
            row_fit = fit(size, self._spec.data, self._spec.model)
            self.too_long.note(size.tokens(self._spec.model.min_pixels, self._spec.model.max_pixels), row_fit)
            if row_fit is not None:
                self._rows.append((PromptRow(row, folder, row_fit), place))

    def _refuse_nothing(self) -> None:
        if self._rows:
            return
        if not self.too_long.left_out:
            raise DatasetError("The chosen datasets have no training rows", hint="Choose another dataset")
        raise DatasetError(
            f"Every training row is longer than {self._spec.data.max_tokens:,} tokens (the longest has "
            f"{self.too_long.longest_tokens:,})",
            hint="Raise `data.max_tokens`, lower `model.max_pixels`, or set `data.too_long` to shrink",
        )


def epoch_order(sources: list[DatasetSlice], seed: int, epoch: int) -> list[int]:
    """The row indices of one epoch: each dataset gives `per_epoch` rows, shuffled together by seed and epoch.

    A weight of 2 shows each row twice an epoch; a weight of 0.5 shows half of the rows, another half in the next.
    The order depends on the arguments alone, so every rank has the same.
    """
    order = [index for source in sources for index in _epoch_rows(source, seed, epoch)]
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


def _epoch_rows(source: DatasetSlice, seed: int, epoch: int) -> Iterator[int]:
    """Walk endlessly through shuffled rounds of the dataset; each epoch takes up where the last one ended."""
    position = epoch * source.per_epoch
    rounds: dict[int, list[int]] = {}
    for place in range(position, position + source.per_epoch):
        lap, offset = divmod(place, source.count)
        if lap not in rounds:
            rounds[lap] = list(range(source.count))
            random.Random(f"{seed}/{source.name}/{lap}").shuffle(rounds[lap])
        yield source.first + rounds[lap][offset]
