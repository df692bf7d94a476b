"""Find runs that the index does not know: their folders tell all that happened."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.ids import is_safe_name
from backend.runs.folder import RunFolder
from backend.runs.records import ExitRecord, ProcessRecord, read_record
from backend.spec.run import RunSpec


def unknown_folders(output: Path, known: set[str]) -> list[RunFolder]:
    """The whole run folders below `output` that `known` lacks, oldest first. A link is no run folder."""
    found = [
        RunFolder(path)
        for path in output.iterdir()
        if path.name not in known and is_safe_name(path.name) and path.is_dir() and not path.is_symlink()
    ]
    return sorted((folder for folder in found if folder.spec.is_file()), key=lambda folder: folder.spec.stat().st_mtime)


def row_from(folder: RunFolder) -> dict[str, Any] | None:
    """Tell a run's row from its folder; None where its spec cannot be read at all."""
    try:
        spec_json = folder.spec.read_text(encoding="utf-8")
        content = json.loads(spec_json)
        created_at = folder.spec.stat().st_mtime
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    row: dict[str, Any] = {
        "id": folder.run_id,
        "name": str(content.get("name") or folder.run_id),
        "kind": str(content.get("kind") or RunSpec.model_fields["kind"].default),
        "spec_json": spec_json,
        "created_at": created_at,
        "state": "queued",
    }
    process = read_record(folder.process, ProcessRecord)
    ended = read_record(folder.exit, ExitRecord)
    if process is not None:
        row |= {"state": "starting", "started_at": process.started_at, "devices_json": json.dumps(process.devices)}
    elif folder.process.exists():
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


def _is_spec(text: str) -> bool:
    try:
        RunSpec.model_validate_json(text)
    except ValidationError:
        return False
    return True
