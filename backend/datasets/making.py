"""A dataset made of rows that are known to be good, without an upload: whole under its name, or as a new version."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from backend.conversation import Row
from backend.datasets.changing import sole_editor
from backend.datasets.links import link_or_copy
from backend.datasets.problems import UploadRefused, refused_by_disk
from backend.datasets.publishing import dataset_names, name_for, publish, refuse_taken
from backend.datasets.records import LayoutName, Manifest, SplitRule
from backend.datasets.recounting import write_counted
from backend.datasets.staging import staging_folder
from backend.jsonl import sync_folder
from backend.settings import Workspace

IMAGES = "images"
Pictures = Mapping[str, Path]  # by the names that rows give them, such as `images/3f2a....png`


class Making(NamedTuple):
    """What a made dataset says about itself."""

    source: str  # where its rows come from
    layout: LayoutName
    change: str  # what made this version, in a short sentence


def put_rows(workspace: Workspace, name: str, rows: Iterable[Row], pictures: Pictures, making: Making) -> Manifest:
    """Make the dataset `name` of these rows; where there is one, they become its new version.

    Args:
        workspace: where it goes.
        name: of the dataset.
        rows: all of them, in order, with their ids and sides of the split.
        pictures: the files they show; linked where the disk can do that.
        making: what the manifest says.

    Raises:
        DatasetError: an unsafe name, or one that differs from another's in case only; somebody else is changing it; the
            disk refuses. In each case everything is as it was.
    """
    if name in dataset_names(workspace):
        with sole_editor(workspace, name) as editor:
            take_pictures(pictures, editor.folder)
            return editor.rewrite(rows, making.change)
    try:
        return _made(workspace, name, rows, pictures, making)
    except OSError as error:
        raise refused_by_disk(error) from error


def refuse_unsafe(name: str) -> None:
    """Raise UploadRefused where `name` cannot be a dataset's."""
    if not name:
        raise UploadRefused("DATASET_NAME", "The dataset has no name")
    name_for(name, Path(name))


def take_pictures(pictures: Pictures, dataset: Path) -> None:
    """Let a dataset's folder hold these pictures; those it has are the same by their name. Raises OSError."""
    (dataset / IMAGES).mkdir(parents=True, exist_ok=True)
    for name, source in pictures.items():
        if not (dataset / name).is_file():
            link_or_copy(source, dataset / name)
    sync_folder(dataset / IMAGES)


def _made(workspace: Workspace, name: str, rows: Iterable[Row], pictures: Pictures, making: Making) -> Manifest:
    refuse_unsafe(name)
    with staging_folder(workspace) as room:
        refuse_taken(workspace, name)
        folder = room / "dataset"
        take_pictures(pictures, folder)
        written, now = write_counted(folder, rows, folder), time.time()
        manifest = Manifest(
            name=name, created_at=now, sha256=written.sha256, upload_sha256=written.sha256, source=making.source,
            layout=making.layout, split=SplitRule(kind="given"), statistics=written.statistics, skipped_rows=0,
            problem_counts={}, notices=(making.change,), change=making.change, changed_at=now,
        )  # fmt: skip
        return publish(workspace, folder, manifest, ()).manifest
