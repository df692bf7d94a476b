"""Delete a run, and nothing else; a crash on the way leaves the whole run or its rubbish, never half a run."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from backend.errors import LaunchError
from backend.ids import is_safe_name
from backend.runs.folder import ACTIVE
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from backend.store.views import RunView

RUBBISH = "run."  # how our names in the trash begin; datasets have their own
KEEP_RUBBISH_S = 24 * 3600.0
_MANY = 10_000


def delete_run(workspace: Workspace, runs: RunStore, run_id: str) -> None:
    """Move a run's folder to the trash, forget it, and empty that part of the trash.

    Raises:
        NotFoundError: no run has that id.
        LaunchError: it is at work, another run builds on it, its folder is not its own, or the disk refuses. Nothing
            has changed then.
    """
    run = runs.get(run_id)
    _refuse_used(runs, run)
    _refuse_foreign(workspace, run)
    rubbish = workspace.trash / f"{RUBBISH}{run.id}.{time.time_ns()}"
    try:
        workspace.trash.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # somebody removed the folder by hand: then only the index knows it
            run.folder.path.rename(rubbish)
    except OSError as error:
        raise LaunchError(
            f"`{run.id}` cannot be moved to the trash: {error}", hint="Check the rights of its folder"
        ) from error
    if run.state == "queued":
        _take_from_queue(runs, run, rubbish)
    runs.remove(run.id)
    shutil.rmtree(rubbish, ignore_errors=True)


def empty_trash(workspace: Workspace, older_than_s: float = KEEP_RUBBISH_S) -> None:
    """Remove runs whose deletion was cut short more than `older_than_s` seconds ago."""
    for rubbish in workspace.trash.glob(f"{RUBBISH}*"):
        deleted_at_ns = rubbish.name.rsplit(".", 1)[-1]
        if deleted_at_ns.isdecimal() and time.time() - int(deleted_at_ns) / 1e9 > older_than_s:
            shutil.rmtree(rubbish, ignore_errors=True)


def _take_from_queue(runs: RunStore, run: RunView, rubbish: Path) -> None:
    """Keep everybody from starting it now; its folder is put back where that fails or somebody was quicker."""
    is_out = False
    try:
        is_out = runs.transition(run.id, "stopped", ("queued",), reason="It was deleted")
    finally:
        if not is_out:
            with suppress(OSError):
                rubbish.rename(run.folder.path)
    if not is_out:
        raise LaunchError(f"`{run.id}` has just left the queue", hint="Look at it again, then delete it")


def _refuse_used(runs: RunStore, run: RunView) -> None:
    if run.is_active:
        raise LaunchError(f"`{run.id}` is {run.state}", hint="Stop it first, then delete it")
    if any(lease.run_id == run.id for lease in runs.leases()):
        raise LaunchError(f"`{run.id}` has ended, but not all of its processes", hint="Try again in a minute")
    for other in runs.views(_MANY, states=("queued", *ACTIVE)):
        if other.id != run.id and any(_is_of(named, run) for named in _built_on(other.spec)):
            raise LaunchError(f"`{other.id}` builds on `{run.id}`", hint=f"Stop `{other.id}` first")


def _built_on(spec: RunSpec) -> list[str]:
    """Every model or checkpoint that a run reads."""
    return [spec.model.base, spec.resumed_from, *(one.checkpoint for one in spec.comparison.contestants)]


def _is_of(named: str, run: RunView) -> bool:
    """Whether a name means something of this run: its id, one of its checkpoints, or a path below its folder."""
    return bool(named) and (named == run.id or named.startswith(f"{run.id}/") or _lies_in(named, run.folder.path))


def _refuse_foreign(workspace: Workspace, run: RunView) -> None:
    path = run.folder.path
    is_own = is_safe_name(run.id) and not path.is_symlink() and path.resolve().parent == workspace.output.resolve()
    if not is_own:
        raise LaunchError(
            f"`{path.name}` is not a run folder of this workspace", hint="Remove it by hand, if it is yours"
        )


def _lies_in(base: str, folder: Path) -> bool:
    return folder.resolve() in Path(base).resolve().parents or folder.resolve() == Path(base).resolve()
