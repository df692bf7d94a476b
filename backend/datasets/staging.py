"""Where a dataset is built, and how it appears under its name, whole; which datasets are there."""

import contextlib
import difflib
import errno
import os
import shutil
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from backend.datasets.problems import DatasetProblem, ProblemList, UploadRefused, quoted
from backend.datasets.records import ColumnMapping, ImportReport, Manifest
from backend.errors import DatasetError, NotFoundError
from backend.ids import is_safe_name, slug
from backend.jsonl import strict_json, sync_folder, write_atomically
from backend.settings import Workspace

Progress = Callable[[float, str], None]  # share done from 0 to 1, and what is being done
DEFAULT_SHARE = 0.1
DEFAULT_SEED = 42
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}
MANIFEST = "dataset.json"
PROBLEMS = "problems.jsonl"
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How an upload is imported."""

    name: str = ""  # empty: made from the upload's own name
    validation: Path | None = None  # another upload whose rows are all for validation
    test: Path | None = None  # another upload whose rows are all for the test
    validation_share: float = DEFAULT_SHARE  # of the rows, drawn where the upload gives no validation rows
    seed: int = DEFAULT_SEED
    mapping: ColumnMapping | None = None  # which columns play which part; None: as they were judged
    files: tuple[str, ...] = ()  # by their names in the upload; empty: all that hold rows
    template: str = ""  # the question of rows that are made of boxes or class folders; empty: the stated one
    encoding: str = ""  # of text files that are not UTF-8; empty: as it was judged
    text_rows: bool = False  # rows that name no image are meant so, though images lie beside them
    strict: bool = False  # import nothing while one row is bad


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One import under way."""

    source: Path
    options: ImportOptions
    staging: Path  # its own staging folder
    problems: ProblemList
    report_progress: Progress

    @property
    def folder(self) -> Path:
        """The dataset as it grows; renamed whole at the end."""
        return self.staging / "dataset"

    @property
    def images(self) -> Path:
        """Where its images go."""
        return self.folder / "images"


@contextlib.contextmanager
def staging_folder(workspace: Workspace) -> Iterator[Path]:
    """Give a new folder below `data/.staging`, removed afterwards whatever happens.

    Its name carries who builds in it (pid, start ticks, boot), so that there is no moment without an owner.
    """
    pid = os.getpid()
    path = workspace.staging / f"{pid}-{_start_ticks(pid)}-{_boot()}-{uuid.uuid4().hex}"
    path.mkdir(parents=True, mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sweep_staging(workspace: Workspace) -> int:
    """Remove what importers that no longer live left behind; returns how many folders that were."""
    if not workspace.staging.is_dir():
        return 0
    dead = [path for path in workspace.staging.iterdir() if not _has_living_owner(path.name)]
    for path in dead:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(dead)


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
        hint = f"There are: {', '.join(names)}" if names else "Import one first"
        raise NotFoundError(
            f"No dataset is called `{quoted(name)}`", hint=f"Did you mean `{close[0]}`?" if close else hint
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DatasetError(
            f"`{name}/{MANIFEST}` cannot be read", hint="Delete the dataset and import it again"
        ) from error


def name_for(chosen_name: str, source: Path) -> str:
    """Give the dataset's name: the chosen one, else one made from the upload's. Raises UploadRefused if unsafe."""
    if not chosen_name:
        return slug(source.resolve().stem, fallback="dataset")
    if not is_safe_name(chosen_name):
        example = slug(chosen_name, fallback="receipts-2")
        raise UploadRefused(
            "DATASET_NAME",
            f"`{quoted(chosen_name)}` cannot be a dataset's name",
            hint=f"Use lower-case letters, digits, dots and dashes, for example `{example}`",
        )
    return chosen_name


def find_same_upload(workspace: Workspace, upload_sha256: str, chosen_name: str) -> Manifest | None:
    """Find the dataset that was made from the same upload: the one of the chosen name, or any where none was chosen."""
    for name in [chosen_name] if chosen_name else dataset_names(workspace):
        if (workspace.data / name / MANIFEST).is_file():
            manifest = read_manifest(workspace, name)
            if manifest.upload_sha256 == upload_sha256:
                return manifest
    return None


def refuse_taken_name(workspace: Workspace, name: str) -> None:
    """Raise UploadRefused where a folder has this name, or one that differs in case or in how accents are written."""
    for path in workspace.data.iterdir():
        if _folded(path.name) == _folded(name):
            raise UploadRefused("NAME_TAKEN", f"There is already a dataset `{quoted(path.name)}`, with other content")


def publish(
    workspace: Workspace, folder: Path, manifest: Manifest, problems: tuple[DatasetProblem, ...]
) -> ImportReport:
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
        winner = find_same_upload(workspace, manifest.upload_sha256, manifest.name)
        if winner is not None:
            return ImportReport(winner, problems, was_known=True)
        raise UploadRefused("NAME_TAKEN", f"Another import took the name `{manifest.name}` meanwhile") from error
    with contextlib.suppress(OSError):  # it is there already, whatever a power cut would do to it now
        sync_folder(workspace.data)
    return ImportReport(manifest, problems, was_known=False)


def _has_living_owner(name: str) -> bool:
    pid, _, rest = name.partition("-")
    ticks, _, boot = rest.partition("-")
    if not (pid.isdecimal() and ticks.isdecimal()):
        return False
    return boot.startswith(f"{_boot()}-") and _start_ticks(int(pid)) == int(ticks)


def _start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where there is none. A pid alone may be reused."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(after_name.split()[19])


def _boot() -> str:
    return _BOOT_ID.read_text().strip().replace("-", "")[:8]


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
