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
from backend.datasets.json_text import with_whole_characters
from backend.datasets.problems import counted, quoted
from backend.datasets.records import DatasetVersion, Manifest
from backend.datasets.rows_file import INDEX, ROWS, VERSIONS, digest_of, index_path, read_rows, rows_path
from backend.datasets.staging import MANIFEST, link_or_copy, read_manifest, staging_folder
from backend.datasets.turns import faults_of
from backend.errors import DatasetError, NotFoundError, StudioError
from backend.jsonl import strict_json, sync_folder, write_atomically
from backend.settings import Workspace

LOCK = ".lock"  # in the dataset's folder, made by its first change
MIN_DIGITS = 8  # of a version's sha256 that name it
MAX_VERSIONS_NAMED = 5  # versions, where none was meant
MAX_ANSWER_CHARACTERS = 60  # of an answer that a message quotes


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
        with staging_folder(self._workspace) as staging:
            written = write_with_statistics(staging, rows, self.folder)
            if written.sha256 == self.manifest.sha256:
                return self.manifest
            notices = (*(text for text in self.manifest.notices if text != self.manifest.change), change)
            manifest = self.manifest.model_copy(
                update={
                    "sha256": written.sha256,
                    "statistics": written.statistics,
                    "notices": notices,
                    "change": change,
                    "changed_at": time.time(),
                }
            )
            self.make_current(manifest, staging)
        return manifest

    def make_current(self, manifest: Manifest, staging: Path | None = None) -> None:
        """Let this manifest be current; its rows lie in `staging`, else in `versions/` already. Raises OSError."""
        self._refuse_deleted()
        (self.folder / VERSIONS).mkdir(exist_ok=True)
        self._keep_as_version()
        if staging is not None:
            (staging / INDEX).replace(index_path(self.folder, manifest.sha256))
            (staging / ROWS).replace(rows_path(self.folder, manifest.sha256))
        for folder in (self.folder / VERSIONS, self.folder):
            sync_folder(folder)
        try:
            write_atomically(self.folder / MANIFEST, _as_json(manifest))
        except OSError:
            if read_manifest(self._workspace, self.folder.name) != manifest:
                raise
        self.manifest = manifest
        with contextlib.suppress(OSError):  # the change counts already; the next change or check comes back to this
            self.settle()

    def settle(self) -> None:
        """Let `data.json` and its index be those of the current version, where versions are kept. Raises OSError."""
        sha256 = self.manifest.sha256
        for version_file, name in ((rows_path(self.folder, sha256), ROWS), (index_path(self.folder, sha256), INDEX)):
            current_file, partial = self.folder / name, self.folder / f".{name}.tmp"
            partial.unlink(missing_ok=True)
            if version_file.is_file() and not (current_file.is_file() and current_file.samefile(version_file)):
                link_or_copy(version_file, partial)
                partial.replace(current_file)
        sync_folder(self.folder)

    def sweep(self) -> None:
        """Remove what changes that were cut off before they counted left behind. Raises OSError."""
        if not (self.folder / VERSIONS).is_dir():
            return
        for path in (self.folder / VERSIONS).iterdir():
            sha256 = path.name.partition(".")[0]
            is_known = sha256 == self.manifest.sha256 or manifest_path(self.folder, sha256).is_file()
            if path.name.startswith(".") or not is_known:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(f".{MANIFEST}.*.tmp"):
            path.unlink(missing_ok=True)

    def is_changed_by_hand(self) -> bool:
        """Whether the current rows, or `data.json`, are no version of this dataset. Raises OSError."""
        sha256 = self.manifest.sha256
        current_file, version_file = self.folder / ROWS, rows_path(self.folder, sha256)
        if version_file.is_file():
            if digest_of(version_file) != sha256:
                return True
            if not current_file.is_file() or current_file.samefile(version_file):
                return False
        digest = digest_of(current_file)
        return digest != sha256 and not manifest_path(self.folder, digest).is_file()

    def _keep_as_version(self) -> None:
        """Keep the current rows and manifest as a version, if they are not kept yet: the rows last."""
        sha256 = self.manifest.sha256
        for current_file, version_file in (
            (self.folder / INDEX, index_path(self.folder, sha256)),
            (self.folder / ROWS, rows_path(self.folder, sha256)),
        ):
            if current_file.is_file() and not version_file.is_file():
                link_or_copy(current_file, version_file)
        write_atomically(manifest_path(self.folder, sha256), _as_json(self.manifest))

    def _refuse_deleted(self) -> None:
        """Refuse where the dataset was deleted since, and maybe another took its name."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._lock.fileno()), (self.folder / LOCK).stat()):
                return
        raise DatasetError(
            f"Dataset `{self.folder.name}` was deleted meanwhile", hint="Import it again, then change it again"
        )


def manifest_path(folder: Path, sha256: str) -> Path:
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
            _finish_cut_off_change(editor)
            yield editor
        except OSError as error:
            with contextlib.suppress(OSError):
                editor.sweep()
            raise _refused_by_disk(name, error) from error


def finish_change(workspace: Workspace, name: str) -> None:
    """Finish a change that was cut off after it counted, if there is one and nobody is at work."""
    if not (workspace.data / name / VERSIONS).is_dir():
        return
    with contextlib.suppress(StudioError, OSError), _locked(workspace, name) as editor:
        if not editor.is_changed_by_hand():
            _finish_cut_off_change(editor)


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
        corrected_count = _count_corrections(editor, edits, expected or {})
        changes = [f"{counted(corrected_count, 'answer')} corrected"] if corrected_count else []
        changes += [f"{counted(len(edits.excluded), 'row')} left out"] if edits.excluded else []
        return editor.rewrite(_edited_rows(editor.rows(), edits), ", ".join(changes)) if changes else editor.manifest


def versions_of(workspace: Workspace, name: str) -> list[DatasetVersion]:
    """Every version of a dataset, newest first. Raises NotFoundError, or DatasetError for a damaged manifest."""
    current = read_manifest(workspace, name)
    earlier = [each for each in earlier_manifests(workspace.data / name) if each.sha256 != current.sha256]
    versions = [_as_version(manifest, is_current=manifest is current) for manifest in (current, *earlier)]
    return sorted(versions, key=lambda version: (version.made_at, version.is_current), reverse=True)


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
        matching = [v for v in versions if len(sha256) >= MIN_DIGITS and v.sha256.startswith(sha256)]
        if len(matching) != 1:
            named = ", ".join(f"`{version.sha256[:12]}`" for version in versions[:MAX_VERSIONS_NAMED])
            raise NotFoundError(f"Dataset `{name}` has no version `{quoted(sha256, 64)}`", hint=f"There are: {named}")
        if matching[0].is_current:
            return editor.manifest
        restored = next(each for each in earlier_manifests(editor.folder) if each.sha256 == matching[0].sha256)
        path = rows_path(editor.folder, restored.sha256)
        if not path.is_file() or digest_of(path) != restored.sha256:
            raise DatasetError(
                f"Version `{restored.sha256[:12]}` of `{name}` is damaged",
                hint="Restore another one, or import it again",
            )
        editor.make_current(restored)
        return restored


def earlier_manifests(folder: Path) -> list[Manifest]:
    """The manifests of versions that were current before; one that is damaged is left out."""
    manifests = []
    for path in sorted((folder / VERSIONS).glob("*.dataset.json")):
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        manifests += [manifest] if path == manifest_path(folder, manifest.sha256) else []
    return manifests


@contextlib.contextmanager
def _locked(workspace: Workspace, name: str) -> Iterator[DatasetEditor]:
    read_manifest(workspace, name)
    try:
        lock = (workspace.data / name / LOCK).open("ab")
    except OSError as error:
        raise _refused_by_disk(name, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(
                f"Somebody else is changing dataset `{name}`", hint="Wait a moment, look at it again, then try again"
            ) from error
        yield DatasetEditor(workspace, name, lock)


def _finish_cut_off_change(editor: DatasetEditor) -> None:
    editor.sweep()
    if (editor.folder / VERSIONS).is_dir():
        editor.settle()


def _as_json(manifest: Manifest) -> bytes:
    return strict_json(manifest.model_dump()).encode() + b"\n"


def _refused_by_disk(name: str, error: OSError) -> DatasetError:
    return DatasetError(
        f"Dataset `{name}` cannot be changed: {error.strerror or error}",
        hint="Free some space, or see whether you may write there; the dataset is as it was",
    )


def _count_corrections(editor: DatasetEditor, edits: Edits, expected: Mapping[str, str]) -> int:
    """Count the answers that will be others, or raise DatasetError with everything that stands against the edits."""
    problems = [
        f"row `{quoted(each)}` is both corrected and left out" for each in edits.answers if each in edits.excluded
    ]
    missing = dict.fromkeys([*edits.answers, *edits.excluded, *expected])
    corrected_count = remaining_count = 0
    changed: dict[str, str] = {}
    for row in editor.rows():
        missing.pop(row.id, None)
        remaining_count += row.id not in edits.excluded
        if row.id in expected and row.gold != expected[row.id]:
            changed[row.id] = row.gold or ""
            problems.append(f"row `{row.id}` has another answer now, `{quoted(row.gold or '', MAX_ANSWER_CHARACTERS)}`")
        if row.id in edits.answers:
            problems += _answer_faults(row, edits.answers[row.id])
            corrected_count += row.gold != edits.answers[row.id]
    problems += [f"row `{quoted(each)}` is not there" for each in missing]
    if not remaining_count:
        problems.append("no row would be left")
    if problems:
        message = f"Dataset `{editor.folder.name}` was not changed: {'; '.join(problems)}"
        hint = "Look at these rows as they are now, then correct the edits"
        raise EditConflict(message, hint=hint, changed=changed) if changed else DatasetError(message, hint=hint)
    return corrected_count


def _answer_faults(row: Row, answer: str) -> Iterator[str]:
    """Say what an import would say of the row with its new answer."""
    if row.gold is None:
        yield f"row `{row.id}` has no answer to correct"
    elif PLACEHOLDER in answer:  # an import would say so twice: the count of images is wrong too
        yield f"the new answer of row `{row.id}` holds `{PLACEHOLDER}`"
    elif with_whole_characters(answer)[1]:
        yield f"the new answer of row `{row.id}` holds half a character"
    else:
        for fault in faults_of(row.with_gold(answer).messages, len(row.images)):
            yield f"row `{row.id}`: {fault.message}"


def _edited_rows(rows: Iterator[Row], edits: Edits) -> Iterator[Row]:
    for row in rows:
        if row.id not in edits.excluded:
            yield row.with_gold(edits.answers[row.id]) if row.id in edits.answers else row


def _as_version(manifest: Manifest, *, is_current: bool) -> DatasetVersion:
    return DatasetVersion(
        sha256=manifest.sha256,
        made_at=manifest.changed_at or manifest.created_at,
        rows=manifest.statistics.rows,
        change=manifest.change or f"Imported from {manifest.source}",
        is_current=is_current,
    )
