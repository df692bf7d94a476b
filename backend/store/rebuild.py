"""Find runs that the index does not know: their folders tell all that happened."""

import json
import logging
import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.ids import is_safe_name
from backend.runs.folder import ExitRecord, ProcessRecord, RunFolder, read_record
from backend.spec.run import RunSpec

SETTLED_S = 60.0  # a folder in which nothing has changed for so long is not being copied any more
_SUBMITTED_S = 60.0  # from a run's name to its spec
_NAMED = re.compile(r"([0-9]{8}-[0-9]{6})-.+")  # as `new_run_id` names a run

_log = logging.getLogger(__name__)
_warned: set[Path] = set()  # so that a folder is complained of once, and not at every look


def unknown_folders(output: Path, known_ids: set[str]) -> list[RunFolder]:
    """The run folders below `output` that are not among `known_ids`, oldest first. A link is no run folder."""
    candidates = []
    for path in output.iterdir():
        if path.name in known_ids or not is_safe_name(path.name):
            continue
        folder = RunFolder(path)
        try:
            if path.is_dir() and not path.is_symlink() and folder.spec.is_file():
                candidates.append((folder.spec.stat().st_mtime, path.name, folder))
        except OSError as error:
            complain(folder, error)
    return [folder for _, _, folder in sorted(candidates, key=lambda each: each[:2])]


def inspect_folder(folder: RunFolder, is_at_work: Callable[[RunFolder], bool]) -> tuple[dict[str, Any] | None, bool]:
    """Tell a run's row, and whether its folder may be half copied.

    There is no row where the spec cannot be read, or where it must wait: only what says how it ended is sure of it.

    Raises:
        OSError, RecursionError: the folder may not be read, or its spec is no spec but a trap.
    """
    row = row_from(folder)
    is_copy = row is not None and is_young(folder) and not is_at_work(folder)
    return (None if row is None or (is_copy and "ended_at" not in row) else row), is_copy


def row_from(folder: RunFolder) -> dict[str, Any] | None:
    """Tell a run's row from its folder as it is; None where its spec cannot be read at all."""
    try:
        spec_json = folder.spec.read_text(encoding="utf-8")
        content = json.loads(spec_json)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    row: dict[str, Any] = {
        "id": folder.run_id,
        "name": _plain(content.get("name") or folder.run_id),
        "kind": _plain(content.get("kind") or RunSpec.model_fields["kind"].default),
        "spec_json": spec_json,
        "created_at": folder.spec.stat().st_mtime,
        "state": "queued",
    }
    process = read_record(folder.process, ProcessRecord)
    ended = read_record(folder.exit, ExitRecord)
    if process is not None:
        row |= {"state": "starting", "started_at": process.started_at, "devices_json": json.dumps(process.devices)}
    elif folder.process.exists() or folder.was_started:  # whoever settles it finds out who has it, or that nobody has
        row |= {"state": "starting"}
    elif not _is_spec(spec_json):
        row |= {
            "state": "failed",
            "reason": "Its spec.json cannot be read",
            "hint": "Start the run again from its recipe",
        }
    if ended is not None:
        row |= {"state": ended.state, "reason": ended.reason, "hint": ended.hint, "ended_at": ended.ended_at}
    return row


def is_young(folder: RunFolder) -> bool:
    """Whether the folder may be half copied: it was not made here, and something in it is new.

    A run made here has a spec as old as its name; that of a copy is younger. Times of change, unlike those of writing,
    cannot be copied.
    """
    named = _NAMED.fullmatch(folder.run_id)
    created_at = _moment(named[1]) if named else None
    if created_at is not None and abs(folder.spec.stat().st_ctime - created_at) < _SUBMITTED_S:
        return False
    paths = (Path(place, name) for place, _, names in os.walk(folder.path) for name in (".", *names))
    return any(_has_just_changed(path) for path in paths)


def complain(folder: RunFolder, error: Exception) -> None:
    """Log once that a folder cannot be taken in."""
    if folder.path not in _warned:
        _warned.add(folder.path)
        _log.warning("`%s` cannot be taken in as a run: %s: %s", folder.run_id, type(error).__name__, error)


def as_row(run_id: str, spec: RunSpec, created_at: float) -> dict[str, Any]:
    """The row of a run that is new."""
    return {
        "id": run_id,
        "name": spec.name or run_id,
        "kind": spec.kind,
        "spec_json": spec.model_dump_json(),
        "created_at": created_at,
        "state": "queued",
    }


def _plain(text: object) -> str:
    """Text that the index can hold: JSON may spell half a character, a lone surrogate."""
    return str(text).encode("utf-8", "replace").decode()


def _is_spec(text: str) -> bool:
    try:
        RunSpec.model_validate_json(text)
    except ValidationError:
        return False
    return True


def _moment(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y%m%d-%H%M%S").astimezone().timestamp()
    except (ValueError, OverflowError):
        return None


def _has_just_changed(path: Path) -> bool:
    """Whether it has changed in the last minute, or went just now; a time far ahead is from before a clock was set."""
    try:
        return abs(time.time() - path.lstat().st_ctime) < SETTLED_S
    except FileNotFoundError:
        return True
