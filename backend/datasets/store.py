"""The datasets of a workspace: import them, list them, page through them, remove them."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from backend.conversation import Row
from backend.datasets.importer import import_upload
from backend.datasets.inspection import inspect_upload
from backend.datasets.job import ImportOptions, Progress
from backend.datasets.layouts import Split
from backend.datasets.pages import read_page, read_rows
from backend.datasets.problems import as_csv, shown
from backend.datasets.publishing import PROBLEMS, dataset_names, read_manifest
from backend.datasets.records import ColumnMapping, Inspection, Manifest, Page, Problem, Report
from backend.datasets.staging import staging_folder
from backend.datasets.verification import verify
from backend.errors import DatasetError, NotFoundError
from backend.settings import Workspace

__all__ = ["DatasetStore", "ImportOptions"]
_PICTURE = re.compile(r"images/[A-Za-z0-9_-]+\.(jpg|png|webp)")


class DatasetStore:
    """Everything that pages, commands and programs may do with datasets. Holds no state of its own: the disk is it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def names(self) -> list[str]:
        """The datasets that are complete, sorted."""
        return dataset_names(self._workspace)

    def manifests(self) -> list[Manifest]:
        """The manifests of all datasets, newest first; one that is damaged is left out."""
        found = []
        for name in self.names():
            with contextlib.suppress(DatasetError, NotFoundError):  # removed meanwhile, or damaged: `get` says so
                found.append(self.get(name))
        return sorted(found, key=lambda manifest: manifest.created_at, reverse=True)

    def get(self, name: str) -> Manifest:
        """Read one manifest.

        Raises:
            NotFoundError: no dataset has that name; the hint names the nearest.
            DatasetError: its manifest is damaged.
        """
        return read_manifest(self._workspace, name)

    def folder(self, name: str) -> Path:
        """Where a dataset lies. Raises NotFoundError."""
        self.get(name)
        return self._workspace.data / name

    def page(self, name: str, *, start: int = 0, count: int = 20, search: str = "", split: Split | None = None) -> Page:
        """Give `count` rows from the `start`-th on, of those that hold the searched words and are of the split.

        Raises:
            NotFoundError: no dataset has that name.
            DatasetError: its rows were changed by hand and cannot be read.
        """
        return read_page(self.folder(name), start, count, search, split)

    def rows(self, name: str, split: Split | None = None) -> Iterator[Row]:
        """Yield a dataset's rows in order, one at a time. Raises as `page`, before the first row."""
        return read_rows(self.folder(name), split)

    def picture(self, name: str, relative: str) -> Path:
        """Find one stored picture by the name that rows give it, such as `images/3f2a....png`.

        Raises:
            NotFoundError: it is not a stored picture of this dataset.
        """
        folder = self.folder(name)
        path = folder / relative
        if not _PICTURE.fullmatch(relative) or path.is_symlink() or not path.is_file():
            raise NotFoundError(
                f"Dataset `{name}` has no picture `{shown(relative)}`",
                hint="Reload the page; the dataset may have changed",
            )
        return path

    def problems(self, name: str) -> list[Problem]:
        """What the import listed, gravest first. Raises NotFoundError."""
        path = self.folder(name) / PROBLEMS
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        return [Problem.model_validate_json(line) for line in lines if line]

    def problems_csv(self, name: str) -> str:
        """The same as CSV, safe to open in a spreadsheet. Raises NotFoundError."""
        return as_csv(self.problems(name))

    def inspect(self, source: Path, mapping: ColumnMapping | None = None) -> Inspection:
        """Look at an upload without importing it. Raises DatasetError."""
        return inspect_upload(self._workspace, source, mapping)

    def import_dataset(self, source: Path, options: ImportOptions, progress: Progress | None = None) -> Report:
        """Import an upload whole, or not at all; `import_upload` says the rest. Raises DatasetError."""
        return import_upload(self._workspace, source, options, progress)

    def delete(self, name: str) -> None:
        """Make a dataset disappear at once, then remove its files. What a cut-off leaves, the next import sweeps.

        Raises:
            NotFoundError: no dataset has that name.
            OSError: the disk refuses; the dataset is still there.
        """
        folder = self.folder(name)
        with staging_folder(self._workspace) as room:
            folder.rename(room / name)

    def check(self, name: str) -> list[Problem]:
        """Read every row and picture again; an empty list means that all is well. Raises NotFoundError."""
        return list(verify(self.folder(name), self.get(name)))
