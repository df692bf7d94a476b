"""Change a dataset in place: one editor at a time, and at any cut-off its former rows or its new ones, whole.

The new rows are written elsewhere, then kept as `versions/<sha256>.json` beside the former ones; replacing
`dataset.json` makes the change count. What is done after that, `data.json` becoming the new rows, is done again by the
next one who comes. Readers go by `dataset.json` and `versions/`: see `row_files`.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from backend.conversation import Row
from backend.datasets.links import link_or_copy
from backend.datasets.pages import read_rows
from backend.datasets.publishing import MANIFEST, read_manifest
from backend.datasets.records import Manifest
from backend.datasets.recounting import write_counted
from backend.datasets.row_files import INDEX, ROWS, VERSIONS, digest_of, index_path, rows_path
from backend.datasets.staging import staging_folder
from backend.errors import DatasetError, StudioError
from backend.jsonl import strict_json, sync_folder, write_atomically
from backend.settings import Workspace

LOCK = ".lock"  # in the dataset's folder, made by its first change


class Editor:
    """The one who may change a dataset just now. `manifest` is the current one."""

    def __init__(self, workspace: Workspace, name: str, lock: BinaryIO) -> None:
        """Read where the dataset stands. Raises NotFoundError."""
        self._workspace, self._lock = workspace, lock
        self.folder = workspace.data / name
        self.manifest = read_manifest(workspace, name)

    def rows(self) -> Iterator[Row]:
        """The current rows, one at a time. Raises DatasetError."""
        return read_rows(self.folder, sha256=self.manifest.sha256)

    def rewrite(self, rows: Iterable[Row], change: str) -> Manifest:
        """Make `rows` the current version; the same rows as now make none.

        Args:
            rows: all of them, in order; their pictures lie in the dataset's folder.
            change: what was changed, in a short sentence.

        Raises:
            DatasetError: a picture cannot be read.
            OSError: the disk refuses; the dataset is as it was.
        """
        with staging_folder(self._workspace) as room:
            written = write_counted(room, rows, self.folder)
            if written.sha256 == self.manifest.sha256:
                return self.manifest
            notices = (*(text for text in self.manifest.notices if text != self.manifest.change), change)
            made = self.manifest.model_copy(
                update={
                    "sha256": written.sha256, "statistics": written.statistics, "notices": notices,
                    "change": change, "changed_at": time.time(),
                }
            )  # fmt: skip
            self.make_current(made, room)
        return made

    def make_current(self, made: Manifest, room: Path | None = None) -> None:
        """Let `made` be the current version; its rows lie in `room`, else they are kept already. Raises OSError."""
        self._refuse_moved()
        (self.folder / VERSIONS).mkdir(exist_ok=True)
        self._keep_former()
        if room is not None:
            (room / INDEX).replace(index_path(self.folder, made.sha256))
            (room / ROWS).replace(rows_path(self.folder, made.sha256))
        for folder in (self.folder / VERSIONS, self.folder):
            sync_folder(folder)
        try:
            write_atomically(self.folder / MANIFEST, _as_bytes(made))
        except OSError:
            if read_manifest(self._workspace, self.folder.name) != made:
                raise
        self.manifest = made
        with contextlib.suppress(OSError):  # the change counts already; the next change or check comes back to this
            self.settle()

    def settle(self) -> None:
        """Let `data.json` and its index be those of the current version, where versions are kept. Raises OSError."""
        sha256 = self.manifest.sha256
        for kept, name in ((rows_path(self.folder, sha256), ROWS), (index_path(self.folder, sha256), INDEX)):
            plain, partial = self.folder / name, self.folder / f".{name}.tmp"
            partial.unlink(missing_ok=True)
            if kept.is_file() and not (plain.is_file() and plain.samefile(kept)):
                link_or_copy(kept, partial)
                partial.replace(plain)
        sync_folder(self.folder)

    def sweep(self) -> None:
        """Remove what changes that were cut off before they counted left behind. Raises OSError."""
        if not (self.folder / VERSIONS).is_dir():
            return
        for path in (self.folder / VERSIONS).iterdir():
            sha256 = path.name.partition(".")[0]
            is_known = sha256 == self.manifest.sha256 or record_path(self.folder, sha256).is_file()
            if path.name.startswith(".") or not is_known:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f".{MANIFEST}.*.tmp"):
            path.unlink(missing_ok=True)

    def is_changed_by_hand(self) -> bool:
        """Whether the current rows, or `data.json`, are no version of this dataset. Raises OSError."""
        sha256 = self.manifest.sha256
        plain, kept = self.folder / ROWS, rows_path(self.folder, sha256)
        if kept.is_file():
            if digest_of(kept) != sha256:
                return True
            if not plain.is_file() or plain.samefile(kept):
                return False
        found = digest_of(plain)
        return found != sha256 and not record_path(self.folder, found).is_file()

    def _keep_former(self) -> None:
        """Keep the current rows and manifest as a version, if they are not kept yet: the rows last."""
        sha256 = self.manifest.sha256
        for plain, kept in (
            (self.folder / INDEX, index_path(self.folder, sha256)),
            (self.folder / ROWS, rows_path(self.folder, sha256)),
        ):
            if plain.is_file() and not kept.is_file():
                link_or_copy(plain, kept)
        write_atomically(record_path(self.folder, sha256), _as_bytes(self.manifest))

    def _refuse_moved(self) -> None:
        """Refuse where the dataset was deleted since, and maybe another took its name."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._lock.fileno()), (self.folder / LOCK).stat()):
                return
        raise DatasetError(
            f"Dataset `{self.folder.name}` was deleted meanwhile", hint="Import it again, then change it again"
        )


def record_path(folder: Path, sha256: str) -> Path:
    """Where the manifest of a version that is no longer current is kept."""
    return folder / VERSIONS / f"{sha256}.dataset.json"


@contextlib.contextmanager
def sole_editor(workspace: Workspace, name: str) -> Iterator[Editor]:
    """Hold a dataset for one change, after clearing up what one that was cut off left.

    Raises:
        NotFoundError: no dataset has that name.
        DatasetError: somebody else is changing it, `data.json` was changed by hand, or the disk refuses; in each case
            the dataset is as it was.
    """
    with _held(workspace, name) as editor:
        try:
            if editor.is_changed_by_hand():
                raise DatasetError(
                    f"`{name}/{ROWS}` is not what was imported", hint="Import it as a new dataset, and change that one"
                )
            _clear_up(editor)
            yield editor
        except OSError as error:
            with contextlib.suppress(OSError):
                editor.sweep()
            raise _refused(name, error) from error


def finish_change(workspace: Workspace, name: str) -> None:
    """Finish a change that was cut off after it counted, if there is one and nobody is at work."""
    if not (workspace.data / name / VERSIONS).is_dir():
        return
    with contextlib.suppress(StudioError, OSError), _held(workspace, name) as editor:
        if not editor.is_changed_by_hand():
            _clear_up(editor)


@contextlib.contextmanager
def _held(workspace: Workspace, name: str) -> Iterator[Editor]:
    read_manifest(workspace, name)
    try:
        lock = (workspace.data / name / LOCK).open("ab")
    except OSError as error:
        raise _refused(name, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(
                f"Somebody else is changing dataset `{name}`", hint="Wait a moment, look at it again, then try again"
            ) from error
        yield Editor(workspace, name, lock)


def _clear_up(editor: Editor) -> None:
    editor.sweep()
    if (editor.folder / VERSIONS).is_dir():
        editor.settle()


def _as_bytes(manifest: Manifest) -> bytes:
    return strict_json(manifest.model_dump()).encode() + b"\n"


def _refused(name: str, error: OSError) -> DatasetError:
    return DatasetError(
        f"Dataset `{name}` cannot be changed: {error.strerror or error}",
        hint="Free some space, or see whether you may write there; the dataset is as it was",
    )
