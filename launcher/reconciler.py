"""The end of a run that no keeper can write down: one that never started, or whose start failed."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress

from backend.errors import NotFoundError
from backend.ids import RunId
from backend.jsonl import write_atomically
from backend.runs.folder import ACTIVE, ExitRecord, ProcessRecord, RunFolder, RunState, TerminalState, read_record
from backend.store.runs import RunStore
from backend.store.views import RunView
from launcher.keeper_lock import is_locked
from launcher.processes import Identity, boot_id, child_of, end_all, identify, is_alive, keeper_of

_QUEUED: tuple[RunState, ...] = ("queued",)
START_PATIENCE_S = 30.0  # from the claim of a run's devices until its keeper must hold the lock
SWEEP_TERM_S = 3.0
_MANY = 10_000
_log = logging.getLogger(__name__)
_warned: set[RunId] = set()  # so that a folder is complained of once, and not at every look


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
        raw_status=None,
        exit_code=None,
        signal=None,
        duration_s=0.0,
        peak_memory_bytes=0,
        state=state,
        reason=reason,
        hint=hint,
        ended_at=time.time(),
    )
    with suppress(OSError):
        write_atomically(folder.exit, record.model_dump_json().encode())
    return True


def settle_all(runs: RunStore) -> None:
    """Take in runs that the index does not know, settle every active one, and free devices nobody uses any more."""
    for run_id in runs.rebuild(is_locked):
        run = runs.get(run_id)
        if run.is_active:
            runs.hold(run_id, run.devices)
    for run in runs.views(_MANY, states=ACTIVE):
        _if_readable(settle, runs, run)
    for lease in runs.leases():
        if lease.process is not None and identify(lease.process.pid) != Identity(*lease.process):
            runs.release(lease.holder)  # a chat whose program is gone
    for run_id in {lease.run_id for lease in runs.leases() if lease.run_id is not None}:
        with suppress(NotFoundError):  # it was deleted just now, which frees its devices too
            run = runs.get(run_id)
            if run.is_over:
                _if_readable(_give_back, runs, run)


def settle(runs: RunStore, run: RunView) -> None:
    """Carry over one active run's events, and its end where it has ended."""
    runs.ingest(run.folder)
    if not run.folder.exit.exists() and has_keeper(run):
        if run.folder.stop.exists():
            runs.transition(run.id, "stopping", ("starting", "running"))
        return
    ended = read_record(run.folder.exit, ExitRecord)  # read after the look at the keeper, which writes it last
    runs.ingest(run.folder)
    if ended is not None:
        runs.transition(run.id, ended.state, ACTIVE, reason=ended.reason, hint=ended.hint)
    elif run.folder.process.exists():  # its keeper's word may still come, and says the same of a rebuilt index
        runs.transition(run.id, "lost", ACTIVE, reason=_why_lost(run.folder), hint=_usable_remains(run.folder))
    else:
        end_without_keeper(runs, run.folder, "lost", _why_lost(run.folder), _usable_remains(run.folder))
    _give_back(runs, run)


def has_keeper(run: RunView) -> bool:
    """Tell whether somebody watches over an active run. Before process.json is written, its lock and its age tell.

    The lock tells also of a keeper in another container on this machine, whose process cannot be seen from here.
    """
    process = read_record(run.folder.process, ProcessRecord)
    if process is not None:
        return is_alive(keeper_of(process)) or (process.boot_id == boot_id() and is_locked(run.folder))
    if is_locked(run.folder):
        return True
    waited_s = time.time() - (run.started_at or 0.0)  # a start in the future was before the clock was set back
    return run.state == "starting" and abs(waited_s) < START_PATIENCE_S


def _if_readable(act: Callable[[RunStore, RunView], None], runs: RunStore, run: RunView) -> None:
    """Look after one run; a folder that cannot be read keeps nobody from looking after the others."""
    try:
        act(runs, run)
    except (OSError, ValueError, RecursionError) as error:
        if run.id not in _warned:
            _warned.add(run.id)
            _log.warning("`%s` cannot be looked after: %s: %s", run.id, type(error).__name__, error)


def _give_back(runs: RunStore, run: RunView) -> None:
    """End what is left of a run that is over, and free its devices once nothing is. Another boot left nothing."""
    process = read_record(run.folder.process, ProcessRecord)
    is_of_this_boot = process is None or process.boot_id == boot_id()
    leader = child_of(process) if process is not None and is_of_this_boot else None
    if not is_of_this_boot or end_all(run.folder, leader, term_s=SWEEP_TERM_S):
        runs.ingest(run.folder)  # what it still wrote while it was being ended
        _sweep(run.folder)
        runs.release(run.id)


def _sweep(folder: RunFolder) -> None:
    """Remove checkpoints that were being written or removed when the run ended: nobody reads them.

    One that had made way for another which never took its place is put back.
    """
    for old in folder.path.glob(".*.replaced"):
        whole = old.with_name(old.name.removeprefix(".").removesuffix(".replaced"))
        if not whole.exists():
            old.rename(whole)
    for pattern in (".*.partial", ".*.replaced", ".checkpoint-*.removed"):
        for leftover in folder.path.glob(pattern):
            shutil.rmtree(leftover, ignore_errors=True)
    folder.ballast.unlink(missing_ok=True)


def _why_lost(folder: RunFolder) -> str:
    process = read_record(folder.process, ProcessRecord)
    if process is None and (folder.events.exists() or folder.final_model.exists() or folder.checkpoints()):
        return "It was started, but its folder does not tell by whom or how it ended: perhaps it is half a copy"
    if process is None:
        return "Its keeper never got to starting it"
    if process.boot_id != boot_id():
        return "The machine was restarted while it ran"
    if process.keeper_pid == os.getpid():
        return "Its keeper could not write down how it ended"
    return "Its keeper was killed while it ran, so what was left of it was ended"


def _usable_remains(folder: RunFolder) -> str:
    checkpoints = folder.checkpoints()
    if folder.has_final_model:
        return "Its final model is whole and can be used"
    if checkpoints:
        return f"Its last whole checkpoint is `{checkpoints[-1].name}`"
    return "Start it again"
