"""Fetch a released model, with progress, resume and a look at the disk first; or take in a folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import requests
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from backend.catalog.checkpoints import is_downloaded_whole, model_folder
from backend.catalog.model_folder import read_config
from backend.catalog.models import CATALOGUE
from backend.errors import CheckpointError, NotFoundError
from backend.ids import is_safe_name, slug
from backend.jsonl import write_atomically
from backend.settings import Workspace, hub_endpoint

MODEL_FILES = ("*.json", "*.safetensors", "merges.txt", "vocab.json", "*.jinja", "LICENSE*")
SPARE_BYTES = 2 * 10**9


def fetch_model(name: str, workspace: Workspace, progress: Callable[[str], None]) -> Path:
    """Download a catalogue model into the workspace; called again, it goes on where it was cut off.

    Args:
        name: as the catalogue spells it.
        workspace: where `output/models/` lies.
        progress: told what happens, in sentences.

    Raises:
        NotFoundError: not in the catalogue.
        CheckpointError: too little disk, no network, or the hub refuses; or what arrived may not be loaded.
    """
    if name not in CATALOGUE:
        raise NotFoundError(f"`{name}` is not in the catalogue", hint=f"There are: {', '.join(CATALOGUE)}")
    here = model_folder(name, workspace)
    if here is not None:
        read_config(here)
        return here
    model, folder = CATALOGUE[name], workspace.models / slug(name, fallback="model")
    _refuse_full_disk(model.download_bytes, folder, workspace)
    progress(f"Fetching {model.title}, {model.download_bytes / 1e9:.1f} GB, licence: {model.licence}")
    try:
        huggingface_hub.snapshot_download(
            name, local_dir=folder, allow_patterns=list(MODEL_FILES), endpoint=hub_endpoint(), etag_timeout=10
        )
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, requests.RequestException) as error:
        raise CheckpointError(
            f"`{name}` could not be fetched from {hub_endpoint() or 'the model hub'}: {type(error).__name__}",
            hint="Check the network, or set HF_ENDPOINT to a mirror; what was fetched is kept, so try again. "
            "On a machine without network: copy the folder here, then `studio models add FOLDER`",
        ) from error
    if not is_downloaded_whole(folder):
        raise CheckpointError(f"`{name}` arrived incomplete", hint="Try again; it goes on where it was cut off")
    read_config(folder)
    return folder


def add_model(folder: Path, name: str, workspace: Workspace) -> str:
    """Make a model folder known under a name; nothing is copied.

    Returns:
        The name.

    Raises:
        CheckpointError: not a whole Qwen2.5-VL in safetensors, or something in it may not be loaded; all reasons.
        NotFoundError: a name that is taken or cannot be a name.
    """
    folder = folder.expanduser().resolve()
    read_config(folder)
    chosen = name or slug(folder.name, fallback="model")
    if not is_safe_name(chosen) or chosen in CATALOGUE or (workspace.models / chosen).exists():
        raise NotFoundError(f"`{chosen}` cannot be the model's name", hint="Give another one with --name")
    write_atomically(workspace.models / f"{chosen}.path", str(folder).encode())
    return chosen


def _refuse_full_disk(needed_bytes: int, folder: Path, workspace: Workspace) -> None:
    present = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    free = shutil.disk_usage(workspace.models).free
    missing_bytes = needed_bytes - present
    if missing_bytes + SPARE_BYTES > free:
        raise CheckpointError(
            f"The download needs {missing_bytes / 1e9:.1f} GB more, and the disk has {free / 1e9:.1f} GB free",
            hint="Free some space, or set STUDIO_WORKSPACE to a larger disk",
        )
