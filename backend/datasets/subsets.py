"""Datasets made of rows known to be good, without an upload: copied from others, or drawn."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from backend.conversation import Row
from backend.datasets.assembly import content_id, write_with_statistics
from backend.datasets.editing import DatasetEditor, exclusive_editor
from backend.datasets.problems import UploadRefused, counted, quoted, refused_by_disk
from backend.datasets.records import LayoutName, Manifest, SplitRule
from backend.datasets.rows_file import read_rows
from backend.datasets.staging import (
    dataset_names,
    link_or_copy,
    name_for,
    publish,
    read_manifest,
    refuse_taken_name,
    staging_folder,
)
from backend.errors import DatasetError
from backend.jsonl import sync_folder
from backend.settings import Workspace

IMAGES = "images"
ImageFiles = Mapping[str, Path]  # by the names that rows give them, such as `images/3f2a....png`


class Provenance(NamedTuple):
    """Where the rows of a dataset come from that was made without an upload."""

    source: str  # in words
    layout: LayoutName
    change: str  # what made this version, in a short sentence


def put_rows(
    workspace: Workspace, name: str, rows: Iterable[Row], images: ImageFiles, provenance: Provenance
) -> Manifest:
    """Make the dataset `name` of these rows; where there is one, they become its new version.

    Args:
        workspace: where it goes.
        name: of the dataset.
        rows: all of them, in order, with their ids and parts of the split.
        images: the files they show; linked where the disk can do that.
        provenance: what the manifest says.

    Raises:
        DatasetError: an unsafe name, or one that differs from another's in case only; somebody else is changing it; the
            disk refuses. In each case everything is as it was.
    """
    if name in dataset_names(workspace):
        with exclusive_editor(workspace, name) as editor:
            link_images(images, editor.folder)
            return editor.rewrite(rows, provenance.change)
    try:
        return _create(workspace, name, rows, images, provenance)
    except OSError as error:
        raise refused_by_disk(error) from error


def refuse_unsafe_name(name: str) -> None:
    """Raise UploadRefused where `name` cannot be a dataset's."""
    if not name:
        raise UploadRefused("DATASET_NAME", "The dataset has no name")
    name_for(name, Path(name))


def link_images(images: ImageFiles, dataset: Path) -> None:
    """Let a dataset's folder hold these images; those it has are the same by their name. Raises OSError."""
    (dataset / IMAGES).mkdir(parents=True, exist_ok=True)
    for name, source in images.items():
        if not (dataset / name).is_file():
            link_or_copy(source, dataset / name)
    sync_folder(dataset / IMAGES)


def copy_rows(workspace: Workspace, name: str, rows: Iterable[str], target: str) -> Manifest:
    """Copy rows of the dataset `name`, with their images, into the dataset `target`, which is made where absent.

    A row that is there already, by what it says and shows, is not added again; one that was copied before and corrected
    in `name` since takes the place of its former copy. Ids get the name of their dataset before them.

    Returns:
        The target's manifest.

    Raises:
        NotFoundError: there is no dataset `name`.
        DatasetError: rows that are not there, all named; an unsafe target; nothing chosen; somebody else changes the
            target; the disk refuses. In each case nothing was copied.
    """
    refuse_unsafe_name(target)
    source = read_manifest(workspace, name)
    if target == name:
        raise DatasetError(f"The rows of `{name}` are in `{target}` already", hint="Copy them to another dataset")
    folder = workspace.data / name
    chosen = _chosen_rows(folder, source, rows)
    images = {image: folder / image for row in chosen for image in row.images}
    copies = [_as_copy(row, name) for row in chosen]
    if target in dataset_names(workspace):
        return _append(workspace, target, copies, images, name)
    added = _plan_copies((), copies).added
    provenance = Provenance(f"rows of {name}", source.layout, f"Made of {counted(len(added), 'row')} of `{name}`")
    return put_rows(workspace, target, added, images, provenance)


class _CopyPlan(NamedTuple):
    """What becomes of the copies."""

    replaced: dict[str, Row]  # by id
    added: list[Row]
    is_leaking: bool  # a held-out copy says and shows what a training row of the target does


def _create(
    workspace: Workspace, name: str, rows: Iterable[Row], images: ImageFiles, provenance: Provenance
) -> Manifest:
    refuse_unsafe_name(name)
    with staging_folder(workspace) as staging:
        refuse_taken_name(workspace, name)
        folder = staging / "dataset"
        link_images(images, folder)
        written, now = write_with_statistics(folder, rows, folder), time.time()
        manifest = Manifest(
            name=name,
            created_at=now,
            sha256=written.sha256,
            upload_sha256=written.sha256,
            source=provenance.source,
            layout=provenance.layout,
            split=SplitRule(kind="given"),
            statistics=written.statistics,
            skipped_rows=0,
            problem_counts={},
            notices=(provenance.change,),
            change=provenance.change,
            changed_at=now,
        )
        return publish(workspace, folder, manifest, ()).manifest


def _chosen_rows(folder: Path, source: Manifest, rows: Iterable[str]) -> list[Row]:
    missing = dict.fromkeys(rows)
    if not missing:
        raise DatasetError("No row is chosen", hint="Choose at least one row to copy")
    chosen = [row for row in read_rows(folder, sha256=source.sha256) if row.id in missing]
    for row in chosen:
        missing.pop(row.id, None)
    if missing:
        named = ", ".join(f"`{quoted(each)}`" for each in missing)
        raise DatasetError(
            f"Dataset `{source.name}` has no row {named}", hint="Nothing was copied; look at its rows as they are now"
        )
    return chosen


def _as_copy(row: Row, name: str) -> Row:
    return row.model_copy(update={"id": f"{name}-{row.id}", "source": f"dataset {name}, row {row.id}"})


def _append(workspace: Workspace, target: str, copies: list[Row], images: ImageFiles, name: str) -> Manifest:
    with exclusive_editor(workspace, target) as editor:
        plan = _plan_copies(editor.rows(), copies)
        if not plan.added and not plan.replaced:
            return editor.manifest
        link_images(images, editor.folder)
        changes = [f"{counted(len(plan.added), 'row')} of `{name}` added"] if plan.added else []
        changes += [f"{counted(len(plan.replaced), 'row')} of `{name}` taken again"] if plan.replaced else []
        changes += ["some held-out ones are among the training rows already"] if plan.is_leaking else []
        return editor.rewrite(_merged_rows(editor, plan), ", ".join(changes))


def _plan_copies(present: Iterable[Row], copies: list[Row]) -> _CopyPlan:
    side_of_content: dict[str, str] = {}  # by content
    present_ids: dict[str, tuple[str, str]] = {}  # id -> source, side
    for row in present:
        side_of_content[_content_of(row)] = row.split
        present_ids[row.id] = (row.source, row.split)
    plan, is_leaking = _CopyPlan({}, [], is_leaking=False), False
    for copy in copies:
        side = side_of_content.setdefault(_content_of(copy), "")
        if side:
            is_leaking |= side == "train" != copy.split
        elif present_ids.get(copy.id, ("", ""))[0] == copy.source:
            former = present_ids[copy.id][1]  # what was once held out stays so
            plan.replaced[copy.id] = copy if former == "train" else copy.model_copy(update={"split": former})
        else:
            plan.added.append(copy.model_copy(update={"id": _new_id(copy.id, present_ids)}))
        side_of_content[_content_of(copy)] = side or copy.split
    return plan._replace(is_leaking=is_leaking)


def _content_of(row: Row) -> str:
    return content_id(row.messages, row.images)


def _new_id(base_id: str, taken: dict[str, tuple[str, str]]) -> str:
    number, candidate = 1, base_id
    while candidate in taken:
        number += 1
        candidate = f"{base_id}-{number}"
    taken[candidate] = ("", "")
    return candidate


def _merged_rows(editor: DatasetEditor, plan: _CopyPlan) -> Iterator[Row]:
    for row in editor.rows():
        yield plan.replaced.get(row.id, row)
    yield from plan.added
