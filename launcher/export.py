"""Start the export program, follow it, and hand back its report."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from backend.errors import CheckpointError, LaunchError
from backend.runs.events import Event, read_all
from backend.runs.export_request import EVENTS, LOG, REQUEST, ExportReport, ExportRequest, refuse_target
from backend.store.queue import Holder
from backend.store.runs import RunStore
from launcher.chat_process import ChatDevice, reserve_device
from launcher.commands import program_environment
from launcher.logs import read_tail
from launcher.processes import identify, start
from launcher.run_manager import RunManager

POLL_S = 0.2
LOG_LINES = 5


def export_checkpoint(
    launcher: RunManager, checkpoint: str, target: Path, on_phase: Callable[[str], None] | None = None
) -> ExportReport:
    """Merge a checkpoint into one whole model at `target`, and prove that it answers the same.

    Args:
        launcher: of the workspace where runs and models lie. A GPU that a run or chat holds is not taken.
        checkpoint: as `resolve_checkpoint` takes it.
        target: a folder that does not exist yet, or is empty; whole or absent afterwards.
        on_phase: called with `loading`, `merging`, `comparing` as they begin.

    Raises:
        StudioError: every GPU is held, what the program found that cannot be done, or the last lines of its log where
            it broke.
    """
    refuse_target(target)
    runs, workspace = launcher.runs, launcher.runs.workspace
    names = tuple(device.name for device in launcher.devices)
    seat = reserve_device(runs, names, f"{checkpoint} (export)", beside_runs=False)
    try:
        request = ExportRequest(workspace=str(workspace.root), checkpoint=checkpoint, target=str(target))
        return _exported(runs, seat, request, on_phase)
    finally:
        runs.release(seat.holder)
        if runs.wanted_devices(names):
            launcher.schedule(judges=False)


def _exported(
    runs: RunStore, seat: ChatDevice, request: ExportRequest, on_phase: Callable[[str], None] | None
) -> ExportReport:
    with tempfile.TemporaryDirectory(prefix=".export-", dir=runs.workspace.output) as folder:
        work = Path(folder)
        (work / REQUEST).write_text(request.model_dump_json(), encoding="utf-8")
        code = _run(work, runs, seat, on_phase)
        events = read_all(work / EVENTS) if (work / EVENTS).is_file() else []
        return _outcome(events, code, work)


def _run(work: Path, runs: RunStore, seat: ChatDevice, on_phase: Callable[[str], None] | None) -> int:
    reported = 0
    with (work / LOG).open("ab") as log:
        argv = [sys.executable, "-m", "backend.programs.export", str(work)]
        process = start(argv, environment=program_environment() | seat.environment, folder=work, output=log)
    try:
        if identity := identify(process.pid):  # from now on its end frees the device, whoever dies before
            runs.hand_over(seat.holder, Holder(*identity))
        while (code := process.poll()) is None:
            phases = [event for event in _events(work) if event.kind == "progress"]
            for event in phases[reported:]:
                if on_phase is not None:
                    on_phase(str(event.values.get("phase", "")))
            reported = len(phases)
            time.sleep(POLL_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return code


def _events(work: Path) -> list[Event]:
    return read_all(work / EVENTS) if (work / EVENTS).is_file() else []


def _outcome(events: list[Event], code: int, work: Path) -> ExportReport:
    ends = [event for event in events if event.kind == "end"]
    if ends and code == 0:
        return ExportReport.model_validate(ends[-1].values["report"])
    errors = [event for event in events if event.kind == "note" and event.values.get("level") == "error"]
    if errors:
        raise CheckpointError(str(errors[-1].values["text"]), hint=str(errors[-1].values["hint"]))
    tail = read_tail(work / LOG, LOG_LINES).strip()
    raise LaunchError(f"The export ended with exit code {code}: {tail}", hint="Check the free memory and disk space")
