"""Correct gold answers and leave rows out, as a new version; earlier versions can be told, read and restored."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from backend.conversation import PLACEHOLDER, Row
from backend.datasets.changing import Editor, record_path, sole_editor
from backend.datasets.checks import faults_of
from backend.datasets.json_values import repaired
from backend.datasets.problems import counted, shown
from backend.datasets.publishing import read_manifest
from backend.datasets.records import DatasetVersion, Manifest
from backend.datasets.row_files import VERSIONS, digest_of, rows_path
from backend.errors import DatasetError, NotFoundError
from backend.settings import Workspace

LEAST_DIGITS = 8  # of a version's sha256 that name it
MOST_NAMED = 5  # versions, where none was meant
SHOWN_ANSWER = 60  # characters


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
    with sole_editor(workspace, name) as editor:
        corrected = _count_or_refuse(editor, edits, expected or {})
        said = [f"{counted(corrected, 'answer')} corrected"] if corrected else []
        said += [f"{counted(len(edits.excluded), 'row')} left out"] if edits.excluded else []
        return editor.rewrite(_edited(editor.rows(), edits), ", ".join(said)) if said else editor.manifest


def versions_of(workspace: Workspace, name: str) -> list[DatasetVersion]:
    """Every version of a dataset, newest first. Raises NotFoundError, or DatasetError for a damaged manifest."""
    current = read_manifest(workspace, name)
    former = [each for each in kept_manifests(workspace.data / name) if each.sha256 != current.sha256]
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
    with sole_editor(workspace, name) as editor:
        versions = versions_of(workspace, name)
        found = [v for v in versions if len(sha256) >= LEAST_DIGITS and v.sha256.startswith(sha256)]
        if len(found) != 1:
            named = ", ".join(f"`{version.sha256[:12]}`" for version in versions[:MOST_NAMED])
            raise NotFoundError(f"Dataset `{name}` has no version `{shown(sha256, 64)}`", hint=f"There are: {named}")
        if found[0].is_current:
            return editor.manifest
        wanted = next(each for each in kept_manifests(editor.folder) if each.sha256 == found[0].sha256)
        path = rows_path(editor.folder, wanted.sha256)
        if not path.is_file() or digest_of(path) != wanted.sha256:
            raise DatasetError(
                f"Version `{wanted.sha256[:12]}` of `{name}` is damaged", hint="Restore another one, or import it again"
            )
        editor.make_current(wanted)
        return wanted


def kept_manifests(folder: Path) -> list[Manifest]:
    """The manifests of versions that were current before; one that is damaged is left out."""
    found = []
    for path in sorted((folder / VERSIONS).glob("*.dataset.json")):
        try:
            manifest = Manifest.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        found += [manifest] if path == record_path(folder, manifest.sha256) else []
    return found


def _count_or_refuse(editor: Editor, edits: Edits, expected: Mapping[str, str]) -> int:
    """Count the answers that will be others, or raise DatasetError with everything that stands against the edits."""
    problems = [
        f"row `{shown(each)}` is both corrected and left out" for each in edits.answers if each in edits.excluded
    ]
    missing = dict.fromkeys([*edits.answers, *edits.excluded, *expected])
    corrected = kept = 0
    changed: dict[str, str] = {}
    for row in editor.rows():
        missing.pop(row.id, None)
        kept += row.id not in edits.excluded
        if row.id in expected and row.gold != expected[row.id]:
            changed[row.id] = row.gold or ""
            problems.append(f"row `{row.id}` has another answer now, `{shown(row.gold or '', SHOWN_ANSWER)}`")
        if row.id in edits.answers:
            problems += _faults(row, edits.answers[row.id])
            corrected += row.gold != edits.answers[row.id]
    problems += [f"row `{shown(each)}` is not there" for each in missing]
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
    elif PLACEHOLDER in answer:  # an import would say so twice: the count of pictures is wrong too
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
