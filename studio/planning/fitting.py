"""How the rows of the chosen datasets fit a run: tokens, and how many would be left out or shown smaller."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from backend.catalog.checkpoints import resolve_checkpoint
from backend.datasets.store import DatasetStore
from backend.lengths import RowMeter, RowSize, fit
from backend.settings import Workspace
from backend.spec.run import RunSpec

MEASURED = 4_000  # rows of a dataset; of a larger one every k-th is measured, and the rest is taken to be like it


class Fitting(NamedTuple):
    """The training rows of one dataset as a run would see them."""

    name: str
    rows: int
    left_out: int
    shrunk: int
    longest_tokens: int
    mean_tokens: float  # of the rows that are learned from
    is_exact: bool  # every row was measured


def fittings(spec: RunSpec, workspace: Workspace) -> list[Fitting]:
    """Measure the datasets of `spec` with its model's own tokenizer.

    Raises:
        StudioError: a dataset or the model is not there.
    """
    base = resolve_checkpoint(spec.model.base, workspace).base_folder
    store = DatasetStore(workspace)
    return [
        _fitting(spec, share.name, store.get(share.name).statistics.train_rows, sizes)
        for share in spec.data.datasets
        for sizes in [_sizes(workspace, share.name, store.get(share.name).sha256, base)]
    ]


def _fitting(spec: RunSpec, name: str, rows: int, sizes: tuple[RowSize, ...]) -> Fitting:
    found = [fit(size, spec.data, spec.model) for size in sizes]
    kept = [each.tokens for each in found if each is not None]
    scale = rows / len(sizes) if sizes else 0.0
    return Fitting(
        name=name,
        rows=rows,
        left_out=round(scale * (len(sizes) - len(kept))),
        shrunk=round(scale * sum(each is not None and each.is_shrunk for each in found)),
        longest_tokens=max((size.tokens(spec.model.min_pixels, spec.model.max_pixels) for size in sizes), default=0),
        mean_tokens=sum(kept) / len(kept) if kept else 0.0,
        is_exact=len(sizes) == rows,
    )


@lru_cache(maxsize=32)
def _sizes(workspace: Workspace, name: str, sha256: str, base: Path) -> tuple[RowSize, ...]:
    """Sizes of the training rows of one version of a dataset."""
    store, meter = DatasetStore(workspace), RowMeter(base)
    folder, rows = store.folder(name), store.get(name).statistics.train_rows
    stride = -(-rows // MEASURED) if rows else 1
    chosen = (row for number, row in enumerate(store.rows(name, "train", sha256)) if number % stride == 0)
    return tuple(meter.size(row, folder) for row in chosen)
