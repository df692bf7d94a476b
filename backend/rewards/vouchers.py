"""What dry runs found of rewards, one file for each text: an edited reward is another text, and so unchecked."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.jsonl import write_atomically

_SHA256 = re.compile(r"[0-9a-f]{64}")


class CheckRecord(BaseModel):
    """The last dry run of one version of a reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_sha256: str
    run_id: str
    passed: bool
    warnings: int
    checked_at: float


def write_check(folder: Path, record: CheckRecord) -> None:
    """Keep a record, in the place of an earlier one of the same text. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{record.source_sha256}.json", record.model_dump_json().encode())


def read_check(folder: Path, sha256: str) -> CheckRecord | None:
    """The record of a text; None where there is none, or it is damaged or of another text."""
    if not _SHA256.fullmatch(sha256):
        return None
    try:
        found = CheckRecord.model_validate_json((folder / f"{sha256}.json").read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.source_sha256 == sha256 else None
