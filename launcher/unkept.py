"""The end of a run that no keeper can write down: one that never started, or whose start failed."""

import time
from contextlib import suppress

from backend.jsonl import write_atomically
from backend.runs.folder import RunFolder
from backend.runs.records import ACTIVE, ExitRecord, RunState, TerminalState
from backend.store.runs import RunStore

_QUEUED: tuple[RunState, ...] = ("queued",)


def end_without_keeper(
    runs: RunStore, folder: RunFolder, state: TerminalState, reason: str, hint: str = "", *, was_queued: bool = False
) -> bool:
    """End a run, and write that into its folder too: else a rebuilt index would find it queued, and start it.

    Args:
        runs: the index.
        folder: the run's; that it may be gone or full is no error.
        state: how it ended.
        reason: why, in words.
        hint: what to do next.
        was_queued: it ends only where it still waits; else only where it is at work.

    Returns:
        Whether it did.
    """
    if not runs.transition(folder.run_id, state, _QUEUED if was_queued else ACTIVE, reason=reason, hint=hint):
        return False
    record = ExitRecord(
        raw_status=None, exit_code=None, signal=None, duration_s=0.0, peak_memory_bytes=0, state=state, reason=reason,
        hint=hint, ended_at=time.time(),
    )  # fmt: skip
    with suppress(OSError):
        write_atomically(folder.exit, record.model_dump_json().encode())
    return True
