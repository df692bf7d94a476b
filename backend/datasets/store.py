"""The datasets of a workspace, for pages, commands and programs; and whether what is stored is still what came in."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from backend.audit import audit
from backend.conversation import Row, Split
from backend.datasets.editing import Edits, apply_edits, earlier_manifests, finish_change, restore, versions_of
from backend.datasets.image_pool import ImagePool
from backend.datasets.importer import import_upload, inspect_upload
from backend.datasets.problems import DatasetProblem, Place, ProblemList, as_csv, quoted
from backend.datasets.records import DatasetVersion, ImportReport, Inspection, Manifest, RowPage
from backend.datasets.rows_file import (
    ROWS,
    VERSIONS,
    digest_of,
    has_version,
    parse_line,
    read_page,
    read_rows,
    rows_path,
)
from backend.datasets.staging import PROBLEMS, ImportOptions, Progress, dataset_names, read_manifest, staging_folder
from backend.datasets.subsets import ImageFiles, Provenance, copy_rows, put_rows
from backend.datasets.turns import faults_of
from backend.errors import DatasetError, NotFoundError
from backend.settings import Workspace

__all__ = ["DatasetStore", "Edits", "ImportOptions"]
_IMAGE = re.compile(r"images/[A-Za-z0-9_-]+\.(jpg|png|webp)")


def verify(folder: Path, manifest: Manifest, earlier: Sequence[Manifest] = ()) -> tuple[DatasetProblem, ...]:
    """Read every row and every image's header; an empty answer means that all is well. Changes nothing.

    Args:
        folder: the dataset's.
        manifest: the current one.
        earlier: those of its earlier versions, whose rows are compared with their checksums.
    """
    problems = ProblemList()
    _check_versions(folder, manifest, earlier, problems)
    path = folder / ROWS
    if not path.is_file():
        problems.add("ROW_INVALID", Place(ROWS), "It is missing")
        return problems.listed()
    if digest_of(path) != manifest.sha256:
        problems.add("ROWS_CHANGED", Place(ROWS), "It is not the file that was imported")
    users: dict[str, Place] = {}
    for place, row in _placed_rows(path, problems):
        for fault in faults_of(row.messages, len(row.images)):
            problems.add("ROW_INVALID", place, fault.message, fault.field)
        for image in row.images:
            users.setdefault(image, place)
    _check_images(folder, users, problems)
    return problems.listed()


class DatasetStore:
    """Everything that pages, commands and programs may do with datasets. Holds no state of its own: the disk is it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def names(self) -> list[str]:
        """The datasets that are complete, sorted."""
        return dataset_names(self._workspace)

    def manifests(self) -> list[Manifest]:
        """The manifests of all datasets, newest first; one that is damaged is left out."""
        manifests = []
        for name in self.names():
            with contextlib.suppress(DatasetError, NotFoundError):  # removed meanwhile, or damaged: `get` says so
                manifests.append(self.get(name))
        return sorted(manifests, key=lambda manifest: manifest.created_at, reverse=True)

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

    def page(
        self, name: str, *, start: int = 0, count: int = 20, search: str = "", split: Split | None = None
    ) -> RowPage:
        """Give `count` rows from the `start`-th on, of those that hold the searched words and are of the split.

        Raises:
            NotFoundError: no dataset has that name.
            DatasetError: its rows were changed by hand and cannot be read.
        """
        return read_page(self.folder(name), start, count, search, split, self.get(name).sha256)

    def rows(self, name: str, split: Split | None = None, sha256: str = "") -> Iterator[Row]:
        """Yield a dataset's rows in order, one at a time.

        Args:
            name: the dataset's.
            split: only that side.
            sha256: the version that a run recorded; empty takes the current one. Whoever changes the dataset meanwhile
                does not change what is read.

        Raises:
            NotFoundError: no dataset has that name; before the first row, as the next.
            DatasetError: it has no such version any more.
        """
        manifest = self.get(name)
        folder = self._workspace.data / name
        if sha256 not in ("", manifest.sha256) and not has_version(folder, sha256):
            raise DatasetError(
                f"Dataset `{name}` has changed since version `{quoted(sha256[:12])}`, which was not kept",
                hint="Start the run again on its new rows",
            )
        return read_rows(folder, split, sha256 or manifest.sha256)

    def image(self, name: str, relative: str) -> Path:
        """Find one stored image by the name that rows give it, such as `images/3f2a....png`.

        Raises:
            NotFoundError: it is not a stored image of this dataset.
        """
        folder = self.folder(name)
        path = folder / relative
        if not _IMAGE.fullmatch(relative) or path.is_symlink() or not path.is_file():
            raise NotFoundError(
                f"Dataset `{name}` has no image `{quoted(relative)}`",
                hint="Reload the page; the dataset may have changed",
            )
        return path

    def problems(self, name: str) -> list[DatasetProblem]:
        """What the import listed, gravest first. Raises NotFoundError."""
        path = self.folder(name) / PROBLEMS
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        return [DatasetProblem.model_validate_json(line) for line in lines if line]

    def problems_csv(self, name: str) -> str:
        """The same as CSV, safe to open in a spreadsheet. Raises NotFoundError."""
        return as_csv(self.problems(name))

    def inspect(self, source: Path, options: ImportOptions | None = None) -> Inspection:
        """Look at an upload without importing it. Raises DatasetError."""
        return inspect_upload(self._workspace, source, options or ImportOptions())

    def import_dataset(self, source: Path, options: ImportOptions, progress: Progress | None = None) -> ImportReport:
        """Import an upload whole, or not at all; `import_upload` says the rest. Raises DatasetError."""
        report = import_upload(self._workspace, source, options, progress)
        if not report.was_known:
            self._note("dataset.import", report.manifest)
        return report

    def apply_edits(self, name: str, edits: Edits, *, expected: Mapping[str, str] | None = None) -> Manifest:
        """Correct answers and leave rows out, as a new version; `editing.apply_edits` says the rest."""
        return self._note("dataset.edit", apply_edits(self._workspace, name, edits, expected=expected))

    def versions(self, name: str) -> list[DatasetVersion]:
        """Every version of a dataset, newest first. Raises NotFoundError."""
        return versions_of(self._workspace, name)

    def restore(self, name: str, sha256: str) -> Manifest:
        """Let an earlier version count again; `editing.restore` says the rest."""
        return self._note("dataset.restore", restore(self._workspace, name, sha256))

    def copy_rows(self, name: str, rows: Iterable[str], target: str) -> Manifest:
        """Copy rows of the dataset `name` into `target`; `subsets.copy_rows` says the rest."""
        return self._note("dataset.add", copy_rows(self._workspace, name, rows, target))

    def put_rows(self, name: str, rows: Iterable[Row], images: ImageFiles, provenance: Provenance) -> Manifest:
        """Make a dataset of good rows without an upload; `subsets.put_rows` says the rest."""
        return self._note("dataset.make", put_rows(self._workspace, name, rows, images, provenance))

    def delete(self, name: str) -> None:
        """Make a dataset disappear at once with all versions, then remove its files.

        What a cut-off leaves, the next import sweeps.

        Raises:
            NotFoundError: no dataset has that name.
            OSError: the disk refuses; the dataset is still there.
        """
        folder, manifest = self.folder(name), self.get(name)
        with staging_folder(self._workspace) as staging:
            folder.rename(staging / name)
            self._note("dataset.delete", manifest)

    def check(self, name: str) -> list[DatasetProblem]:
        """Read every row, image and version again; an empty list means that all is well. Raises NotFoundError.

        A change that was cut off after it counted is finished first.
        """
        folder = self.folder(name)
        finish_change(self._workspace, name)
        return list(verify(folder, self.get(name), earlier_manifests(folder)))

    def _note(self, act: str, manifest: Manifest) -> Manifest:
        """Write down who did what to which version."""
        audit(self._workspace, act, manifest.name, sha256=manifest.sha256)
        return manifest


def _check_versions(folder: Path, current: Manifest, earlier: Sequence[Manifest], problems: ProblemList) -> None:
    for manifest in earlier:
        path = rows_path(folder, manifest.sha256)
        is_whole = path.is_file() and digest_of(path) == manifest.sha256
        if manifest.sha256 != current.sha256 and not is_whole:
            message = "It was changed" if path.is_file() else "It is missing"
            problems.add("VERSION_GONE", Place(f"{VERSIONS}/{path.name}"), message)


def _placed_rows(path: Path, problems: ProblemList) -> Iterator[tuple[Place, Row]]:
    with path.open("rb") as source:
        for number, line in enumerate(source, start=1):
            try:
                row = parse_line(line, "")
            except DatasetError:
                problems.add("ROW_INVALID", Place(ROWS, number, unit="line"), "It holds no row")
                continue
            if row is not None:
                yield Place(ROWS, number, row.id, "line"), row


def _check_images(folder: Path, users: dict[str, Place], problems: ProblemList) -> None:
    present: dict[Path, str] = {}
    for image, place in users.items():
        path = (folder / image).resolve()
        if path.is_relative_to((folder / "images").resolve()) and path.is_file():
            present[path] = image
        else:
            problems.add("IMAGE_GONE", place, f"`{image}` is not in the dataset", "images")
    for path, outcome in ImagePool(folder / "images").prepare(list(present), keep=False):
        if outcome.code:
            image = present[path]
            problems.add("IMAGE_GONE", users[image], f"`{image}` {outcome.message}", "images")
