"""Checkpoints: found by name, whole or not, and byte for byte what was saved."""

import difflib
import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.catalog.model_folder import ADAPTER_CONFIG, INDEX, WEIGHTS, checked_adapter, checked_model
from backend.catalog.models import CATALOGUE
from backend.errors import CheckpointError, NotFoundError
from backend.ids import is_safe_name, slug
from backend.runs.folder import RunFolder
from backend.settings import DEMO_MODEL, Workspace
from backend.spec.strategies import StrategyName

LARGE_BYTES = 64 << 20
SUMMED_BY_TORCH = ".pt"
READERS = 4  # files read at once; a digest keeps no other thread waiting
COMPLETE = "complete.json"  # written last: without it a checkpoint does not exist
VISION_WEIGHTS = "vision.safetensors"  # trained vision weights beside an adapter
STATE = "state"  # within a checkpoint: optimizer, schedule and random numbers, for going on from it
MOST_PIXELS = 2**31
DEFAULT_PIXEL_BOUNDS = (4 * 28 * 28, 1280 * 28 * 28)  # of a model that no run has trained


def has_own_sums(name: str, size: int) -> bool:
    """Whether a file of that name and size carries checksums of its own."""
    return name.endswith(SUMMED_BY_TORCH) and size > LARGE_BYTES


def digests_of(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """SHA-256 of each file that has no sums of its own, by its name. Raises OSError."""
    names = [name for name, size in sizes.items() if not has_own_sums(name, size)]
    with ThreadPoolExecutor(READERS) as readers:
        return dict(zip(names, readers.map(digest_of, [folder / name for name in names]), strict=True))


def damaged_files(folder: Path, sizes: Mapping[str, int], digests: Mapping[str, str]) -> list[str]:
    """Read every file whole; name those that are not what was saved, or cannot be read."""
    with ThreadPoolExecutor(READERS) as readers:
        sound = readers.map(lambda name: _is_sound(folder / name, digests.get(name, "")), sizes)
        return [name for name, is_sound in zip(sizes, sound, strict=True) if not is_sound]


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def without_digest(sizes: Mapping[str, int], digests: Iterable[str]) -> list[str]:
    """Files of which only the size is known: all of a checkpoint that was saved before there were digests."""
    return [name for name in sizes.keys() - set(digests) if not has_own_sums(name, sizes[name])]


class CheckpointRecord(BaseModel):
    """`complete.json`: what lies in the folder, and what it needs to be loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1, 2] = 2  # a record of version 1 has no digests
    kind: Literal["model", "adapter"]
    base: str  # what the run was started from, as the spec names it
    strategy: StrategyName
    step: int
    min_pixels: int = Field(ge=1, le=MOST_PIXELS)
    max_pixels: int = Field(ge=1, le=MOST_PIXELS)
    sizes: dict[str, int]  # file name -> bytes
    sha256: dict[str, str] = {}  # file name -> digest, as `digests` says of which files


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Something that can be talked to: a whole model, or an adapter on one."""

    reference: str
    folder: Path
    base_folder: Path  # the whole model: `folder` itself, or what the adapter stands on
    adapter: Path | None


def model_folder(base: str, workspace: Workspace) -> Path | None:
    """Where a catalogue model lies, or None where it has not been downloaded."""
    if base == "demo":
        return DEMO_MODEL if (DEMO_MODEL / "config.json").is_file() else None
    folder = workspace.models / slug(base, fallback="model")
    return folder if (folder / "config.json").is_file() and is_downloaded_whole(folder) else None


def resolve_checkpoint(reference: str, workspace: Workspace) -> Checkpoint:
    """Find what `reference` names: a catalogue name, a run id, `run-id/checkpoint-100`, or a folder.

    Raises:
        NotFoundError: nothing has that name, or the model is not downloaded.
        CheckpointError: a folder that is not a whole checkpoint of this architecture, or may not be loaded; every
            reason that `outside` finds.
    """
    folder, record = _locate(reference, workspace)
    if record is None or record.kind == "model":
        _refuse_no_model(reference, folder)
        checked_model(folder)
        return Checkpoint(reference, folder, folder, None)
    _refuse_foreign_base(reference, folder, record.base, workspace)
    base_folder, base_record = _locate(record.base, workspace)
    if base_record is not None and base_record.kind == "adapter":
        raise CheckpointError(
            f"`{reference}` was trained on the adapter `{record.base}`", hint="Export that run to a whole model first"
        )
    _refuse_no_model(record.base, base_folder)
    checked_adapter(folder, record.base)
    checked_model(base_folder)
    return Checkpoint(reference, folder, base_folder, folder)


def resumable_names(folder: RunFolder) -> list[str]:
    """The checkpoints of a run that hold the optimizer's state, by step."""
    return [path.name for path in folder.checkpoints() if (path / STATE).is_dir()]


def newest_resumable(folder: RunFolder) -> str:
    """The last checkpoint that a run can go on from. Raises NotFoundError where there is none."""
    names = resumable_names(folder)
    if not names:
        raise NotFoundError(
            f"Run `{folder.run_id}` has no checkpoint to go on from",
            hint="Train again with `saving.every_steps` or `saving.every_minutes` set",
        )
    return names[-1]


def resumable(reference: str, workspace: Workspace) -> Path:
    """Find the checkpoint `run-id/checkpoint-N` of this workspace that a run can go on from.

    Only a run's own checkpoints, and none behind a link: DeepSpeed reads the optimizer's state by unpickling it, which
    would run what a foreign one orders.

    Raises:
        NotFoundError: no such run or checkpoint, or one without the optimizer's state.
        CheckpointError: a checkpoint that is damaged.
    """
    run, _, name = reference.partition("/")
    folder = RunFolder(workspace.output / run)
    names = resumable_names(folder) if is_safe_name(run) and folder.spec.is_file() else []
    checkpoint = folder.path / name
    if name not in names or any(path.is_symlink() for path in (folder.path, checkpoint, checkpoint / STATE)):
        hint = f"Run `{run}` has: {', '.join(names) or 'none'}"
        raise NotFoundError(f"`{reference}` is no checkpoint to go on from", hint=hint)
    read_record(checkpoint)
    return checkpoint


def read_record(folder: Path) -> CheckpointRecord | None:
    """Read `complete.json`; None where there is none.

    Raises:
        CheckpointError: a record that cannot be read, or a file that is missing or cut off.
    """
    path = folder / COMPLETE
    if not path.is_file():
        return None
    try:
        record = CheckpointRecord.model_validate_json(path.read_bytes())
        if not all(_is_within(name) for name in (*record.sizes, *record.sha256)):
            raise ValueError("a name outside the folder")
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"`{folder.name}/{COMPLETE}` cannot be read", hint="Take another checkpoint of that run"
        ) from error
    wrong = [
        name
        for name, size in record.sizes.items()
        if not (folder / name).is_file() or (folder / name).stat().st_size != size
    ]
    if wrong:
        raise CheckpointError(
            f"`{folder.name}` lacks or has cut off {', '.join(f'`{name}`' for name in wrong)}",
            hint="Take another checkpoint of that run",
        )
    return record


def pixel_bounds(*records: CheckpointRecord | None) -> tuple[int, int]:
    """The fewest and most pixels of an image, as the first of these checkpoints that has a record was trained."""
    bounds = ((record.min_pixels, record.max_pixels) for record in records if record is not None)
    return next(bounds, DEFAULT_PIXEL_BOUNDS)


def verify(folder: Path) -> CheckpointRecord | None:
    """Read every file of a checkpoint whole, and hold it against what was saved; None where there is no record.

    Raises:
        CheckpointError: the files that are missing, cut off or changed, by their names.
    """
    record = read_record(folder)
    wrong = damaged_files(folder, record.sizes, record.sha256) if record else []
    if wrong:
        raise CheckpointError(
            f"`{folder.name}` is damaged: {', '.join(f'`{name}`' for name in wrong)} is not what was saved",
            hint="Take another checkpoint of that run, or copy these files again from where they are whole",
        )
    return record


def added_models(workspace: Workspace) -> dict[str, Path]:
    """Model folders that a person added under a name of their own, by that name."""
    pointers = sorted(workspace.models.glob("*.path"))
    return {pointer.stem: Path(pointer.read_text(encoding="utf-8")) for pointer in pointers}


def is_downloaded_whole(folder: Path) -> bool:
    """Whether every weight file that a model's index names lies in its folder."""
    if not (folder / INDEX).is_file():
        return (folder / WEIGHTS).is_file()
    try:
        names = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
        return bool(names) and all(_is_within(name) and (folder / name).is_file() for name in names)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _is_sound(path: Path, digest: str) -> bool:
    try:
        if digest:
            return digest_of(path) == digest
        return not has_own_sums(path.name, path.stat().st_size) or _fits_own_sums(path)
    except OSError:
        return False


def _fits_own_sums(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as parts:
            return parts.testzip() is None
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError):
        return False


def _locate(reference: str, workspace: Workspace) -> tuple[Path, CheckpointRecord | None]:
    """The folder that a reference names, and its record. Raises NotFoundError or CheckpointError."""
    if reference not in CATALOGUE:
        folder = _folder_of(reference, workspace)
        return folder, read_record(folder)
    model = model_folder(reference, workspace)
    if model is None:
        raise NotFoundError(
            f"`{reference}` is not on this machine", hint=f"Fetch it first: `studio models get {reference}`"
        )
    return model, None


def _refuse_no_model(reference: str, folder: Path) -> None:
    if (folder / "config.json").is_file():
        return
    if (folder / ADAPTER_CONFIG).is_file():
        raise CheckpointError(
            f"`{reference}` is an adapter without `{COMPLETE}`, so its base and its images' sizes are not known",
            hint="Merge it into its base where it was made, and name the whole model",
        )
    raise CheckpointError(
        f"`{reference}` holds no whole model", hint="Name a finished run, a checkpoint of one, or a model folder"
    )


def _refuse_foreign_base(reference: str, folder: Path, base: str, workspace: Workspace) -> None:
    """Refuse an adapter from elsewhere whose record names a folder of this machine: only names of models are taken."""
    is_own = folder.resolve().is_relative_to(workspace.output.resolve())
    run = base.partition("/")[0]
    is_run = is_safe_name(run) and RunFolder(workspace.output / run).spec.is_file()
    if not is_own and not is_run and base not in CATALOGUE and base not in added_models(workspace):
        raise CheckpointError(
            f"The adapter `{reference}` is not of this workspace and stands on the folder `{base[:120]}`",
            hint="Export it to a whole model where it was trained, and name that",
        )


def _is_within(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _folder_of(reference: str, workspace: Workspace) -> Path:
    run, _, checkpoint = reference.partition("/")
    if is_safe_name(run) and (workspace.output / run).is_dir():
        folder = RunFolder(workspace.output / run)
        if not checkpoint:
            if not folder.has_final_model:
                raise NotFoundError(
                    f"Run `{run}` has no final model yet", hint="Wait for it, or name a checkpoint of it"
                )
            return folder.final_model
        checkpoints = {path.name: path for path in folder.checkpoints()}
        if checkpoint == "final_model" and folder.has_final_model:
            return folder.final_model
        if checkpoint in checkpoints:
            return checkpoints[checkpoint]
        raise NotFoundError(
            f"Run `{run}` has no checkpoint `{checkpoint}`", hint=f"It has: {', '.join(checkpoints) or 'none'}"
        )
    added = added_models(workspace)
    path = added.get(reference, Path(reference).expanduser())
    if path.is_dir():
        return path.resolve()
    names = [*CATALOGUE, *added, *(p.name for p in workspace.output.glob("2*") if p.is_dir())]
    close = difflib.get_close_matches(reference, names, n=1, cutoff=0.5)
    hint = f"Did you mean `{close[0]}`?" if close else "`studio models` and `studio runs` list what there is"
    raise NotFoundError(f"No model, run or folder is called `{reference}`", hint=hint)
