"""Let a finished dataset appear under its name, whole; and tell which are there."""

import contextlib
import difflib
import errno
import os
import shutil
import unicodedata
from pathlib import Path

from pydantic import ValidationError

from backend.datasets.problems import UploadRefused, shown
from backend.datasets.records import Manifest, Problem, Report
from backend.errors import DatasetError, NotFoundError
from backend.ids import is_safe_name, slug
from backend.jsonl import strict_json, sync_folder, write_atomically
from backend.settings import Workspace

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}
MANIFEST = "dataset.json"
PROBLEMS = "problems.jsonl"
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}


def link_or_copy(source: Path, target: Path) -> None:
    """Let `target`, which is not there yet, hold what `source` holds, whole at once.

    Raises:
        OSError: the disk refuses; there is no `target`.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(source, target)


def dataset_names(workspace: Workspace) -> list[str]:
    """Every dataset that is complete, sorted."""
    if not workspace.data.is_dir():
        return []
    folders = (path for path in workspace.data.iterdir() if not path.name.startswith("."))
    return sorted(folder.name for folder in folders if (folder / MANIFEST).is_file())


def read_manifest(workspace: Workspace, name: str) -> Manifest:
    """Read one dataset's manifest.

    Raises:
        NotFoundError: no dataset has that name; the hint names the nearest.
        DatasetError: its manifest is damaged.
    """
    path = workspace.data / name / MANIFEST
    if not is_safe_name(name) or not path.is_file():
        names = dataset_names(workspace)
        close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        known = f"There are: {', '.join(names)}" if names else "Import one first"
        raise NotFoundError(
            f"No dataset is called `{shown(name)}`", hint=f"Did you mean `{close[0]}`?" if close else known
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DatasetError(
            f"`{name}/{MANIFEST}` cannot be read", hint="Delete the dataset and import it again"
        ) from error


def name_for(wish: str, source: Path) -> str:
    """Give the dataset's name: the wish, else one made from the upload's. Raises UploadRefused for an unsafe wish."""
    if not wish:
        return slug(source.resolve().stem, fallback="dataset")
    if not is_safe_name(wish):
        example = slug(wish, fallback="receipts-2")
        raise UploadRefused(
            "DATASET_NAME", f"`{shown(wish)}` cannot be a dataset's name",
            hint=f"Use lower-case letters, digits, dots and dashes, for example `{example}`",
        )  # fmt: skip
    return wish


def known_upload(workspace: Workspace, upload_sha256: str, wish: str) -> Manifest | None:
    """Find the dataset that was made from the same upload: the one wished for, or any where no name was wished for."""
    for name in [wish] if wish else dataset_names(workspace):
        if (workspace.data / name / MANIFEST).is_file():
            manifest = read_manifest(workspace, name)
            if manifest.upload_sha256 == upload_sha256:
                return manifest
    return None


def refuse_taken(workspace: Workspace, name: str) -> None:
    """Raise UploadRefused where a folder has this name, or one that differs in case or in how accents are written."""
    for path in workspace.data.iterdir():
        if _folded(path.name) == _folded(name):
            raise UploadRefused("NAME_TAKEN", f"There is already a dataset `{shown(path.name)}`, with other content")


def publish(workspace: Workspace, folder: Path, manifest: Manifest, problems: tuple[Problem, ...]) -> Report:
    """Complete `folder` and rename it to `data/<name>`. Of two at once, one wins.

    Raises:
        UploadRefused: another dataset took the name meanwhile.
        OSError: the disk refuses.
    """
    write_atomically(folder / PROBLEMS, "".join(strict_json(p.model_dump()) + "\n" for p in problems).encode())
    write_atomically(folder / MANIFEST, strict_json(manifest.model_dump()).encode() + b"\n")
    for inner in (folder / "images", folder):
        sync_folder(inner)
    try:
        folder.rename(workspace.data / manifest.name)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        winner = known_upload(workspace, manifest.upload_sha256, manifest.name)
        if winner is not None:
            return Report(winner, problems, was_known=True)
        raise UploadRefused("NAME_TAKEN", f"Another import took the name `{manifest.name}` meanwhile") from error
    with contextlib.suppress(OSError):  # it is there already, whatever a power cut would do to it now
        sync_folder(workspace.data)
    return Report(manifest, problems, was_known=False)


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with source.open("rb") as reader, partial.open("wb") as sink:
            shutil.copyfileobj(reader, sink)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
