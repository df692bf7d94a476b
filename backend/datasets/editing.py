"""Correct gold answers, leave rows out, restore earlier versions: at any cut-off one version or the other, whole."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from backend.conversation import PLACEHOLDER, Row
from backend.datasets.assembly import write_with_statistics
from backend.datasets.json_rows import repaired
from backend.datasets.problems import counted, quoted
from backend.datasets.records import DatasetVersion, Manifest
from backend.datasets.rows_file import INDEX, ROWS, VERSIONS, digest_of, index_path, read_rows, rows_path
from backend.datasets.staging import MANIFEST, link_or_copy, read_manifest, staging_folder
from backend.datasets.turns import faults_of
from backend.errors import DatasetError, NotFoundError, StudioError
from backend.jsonl import strict_json, sync_folder, write_atomically
from backend.settings import Workspace

LOCK = ".lock"  # in the dataset's folder, made by its first change
LEAST_DIGITS = 8  # of a version's sha256 that name it
MOST_NAMED = 5  # versions, where none was meant
SHOWN_ANSWER = 60  # characters


class DatasetEditor:
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
            rows: all of them, in order; their images lie in the dataset's folder.
            change: what was changed, in a short sentence.

        Raises:
            DatasetError: an image cannot be read.
            OSError: the disk refuses; the dataset is as it was.
        """
        with staging_folder(self._workspace) as room:
            written = write_with_statistics(room, rows, self.folder)
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
def exclusive_editor(workspace: Workspace, name: str) -> Iterator[DatasetEditor]:
    """Hold a dataset for one change, after clearing up what one that was cut off left.

    Raises:
        NotFoundError: no dataset has that name.
        DatasetError: somebody else is changing it, `data.json` was changed by hand, or the disk refuses; in each case
            the dataset is as it was.
    """
    with _locked(workspace, name) as editor:
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
    with contextlib.suppress(StudioError, OSError), _locked(workspace, name) as editor:
        if not editor.is_changed_by_hand():
            _clear_up(editor)


class EditConflict(DatasetError):
    """Somebody else changed the same rows since the caller saw them; `changed` has their answers of now, by row id."""

    def __init__(self, message: str, *, hint: str, changed: Mapping[str, str]) -> None:
        super().__init__(message, hint=hint)
        self.changed = dict(changed)


@dataclass(frozen=True, slots=True)
class Edits:
    """What is to be changed, by row id."""

    answers: Mapping[str, str] = field(default_factory=dict)  # the new last answer
    excluded: frozenset[str] = frozenset()  # rows to leave out


def apply_edits(
    workspace: Workspace, name: str, edits: Edits, *, expected: Mapping[str, str] | None = None
) -> Manifest:
    """Make a new version of a dataset; every row stays on its side of the split. No change makes no version.

    Args:
        workspace: where it lies.
        name: the dataset's.
        edits: new answers and rows to leave out.
        expected: by row id, the last answer that the caller saw; an edit of what has changed since is refused.

    Returns:
        The manifest that counts now.

    Raises:
        NotFoundError: no dataset has that name.
        DatasetError: every edit that cannot be made, at once; somebody else is at work; the disk refuses. In each case
            the dataset is as it was. An EditConflict where a row is not as it was expected.
    """
    with exclusive_editor(workspace, name) as editor:
        corrected = _count_or_refuse(editor, edits, expected or {})
        said = [f"{counted(corrected, 'answer')} corrected"] if corrected else []
        said += [f"{counted(len(edits.excluded), 'row')} left out"] if edits.excluded else []
        return editor.rewrite(_edited(editor.rows(), edits), ", ".join(said)) if said else editor.manifest


def versions_of(workspace: Workspace, name: str) -> list[DatasetVersion]:
    """Every version of a dataset, newest first. Raises NotFoundError, or DatasetError for a damaged manifest."""
    current = read_manifest(workspace, name)
    former = [each for each in earlier_manifests(workspace.data / name) if each.sha256 != current.sha256]
    found = [_described(manifest, is_current=manifest is current) for manifest in (current, *former)]
    return sorted(found, key=lambda version: (version.made_at, version.is_current), reverse=True)


def restore(workspace: Workspace, name: str, sha256: str) -> Manifest:
    """Let an earlier version count again; what was made since stays a version too.

    Args:
        workspace: where the dataset lies.
        name: the dataset's.
        sha256: of the version; its first eight characters will do.

    Raises:
        NotFoundError: no such dataset or version; the hint names the newest.
        DatasetError: the version's file was damaged, somebody else is at work, or the disk refuses.
    """
    with exclusive_editor(workspace, name) as editor:
        versions = versions_of(workspace, name)
        found = [v for v in versions if len(sha256) >= LEAST_DIGITS and v.sha256.startswith(sha256)]
        if len(found) != 1:
            named = ", ".join(f"`{version.sha256[:12]}`" for version in versions[:MOST_NAMED])
            raise NotFoundError(f"Dataset `{name}` has no version `{quoted(sha256, 64)}`", hint=f"There are: {named}")
        if found[0].is_current:
            return editor.manifest
        wanted = next(each for each in earlier_manifests(editor.folder) if each.sha256 == found[0].sha256)
        path = rows_path(editor.folder, wanted.sha256)
        if not path.is_file() or digest_of(path) != wanted.sha256:
            raise DatasetError(
                f"Version `{wanted.sha256[:12]}` of `{name}` is damaged", hint="Restore another one, or import it again"
            )
        editor.make_current(wanted)
        return wanted


def earlier_manifests(folder: Path) -> list[Manifest]:
    """The manifests of versions that were current before; one that is damaged is left out."""
    found = []
    for path in sorted((folder / VERSIONS).glob("*.dataset.json")):
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        found += [manifest] if path == record_path(folder, manifest.sha256) else []
    return found


@contextlib.contextmanager
def _locked(workspace: Workspace, name: str) -> Iterator[DatasetEditor]:
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
        yield DatasetEditor(workspace, name, lock)


def _clear_up(editor: DatasetEditor) -> None:
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


def _count_or_refuse(editor: DatasetEditor, edits: Edits, expected: Mapping[str, str]) -> int:
    """Count the answers that will be others, or raise DatasetError with everything that stands against the edits."""
    problems = [
        f"row `{quoted(each)}` is both corrected and left out" for each in edits.answers if each in edits.excluded
    ]
    missing = dict.fromkeys([*edits.answers, *edits.excluded, *expected])
    corrected = kept = 0
    changed: dict[str, str] = {}
    for row in editor.rows():
        missing.pop(row.id, None)
        kept += row.id not in edits.excluded
        if row.id in expected and row.gold != expected[row.id]:
            changed[row.id] = row.gold or ""
            problems.append(f"row `{row.id}` has another answer now, `{quoted(row.gold or '', SHOWN_ANSWER)}`")
        if row.id in edits.answers:
            problems += _faults(row, edits.answers[row.id])
            corrected += row.gold != edits.answers[row.id]
    problems += [f"row `{quoted(each)}` is not there" for each in missing]
    if not kept:
        problems.append("no row would be left")
    if problems:
        said = f"Dataset `{editor.folder.name}` was not changed: {'; '.join(problems)}"
        hint = "Look at these rows as they are now, then correct the edits"
        raise EditConflict(said, hint=hint, changed=changed) if changed else DatasetError(said, hint=hint)
    return corrected


def _faults(row: Row, answer: str) -> Iterator[str]:
    """Say what an import would say of the row with its new answer."""
    if row.gold is None:
        yield f"row `{row.id}` has no answer to correct"
    elif PLACEHOLDER in answer:  # an import would say so twice: the count of images is wrong too
        yield f"the new answer of row `{row.id}` holds `{PLACEHOLDER}`"
    elif repaired(answer)[1]:
        yield f"the new answer of row `{row.id}` holds half a character"
    else:
        for fault in faults_of(row.with_gold(answer).messages, len(row.images)):
            yield f"row `{row.id}`: {fault.message}"


def _edited(rows: Iterator[Row], edits: Edits) -> Iterator[Row]:
    for row in rows:
        if row.id not in edits.excluded:
            yield row.with_gold(edits.answers[row.id]) if row.id in edits.answers else row


def _described(manifest: Manifest, *, is_current: bool) -> DatasetVersion:
    return DatasetVersion(
        sha256=manifest.sha256,
        made_at=manifest.changed_at or manifest.created_at,
        rows=manifest.statistics.rows,
        change=manifest.change or f"Imported from {manifest.source}",
        is_current=is_current,
    )
