"""Start, queue, stop, find again and delete runs; used by the web process, the command line and ending keepers."""

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from backend.audit import audit
from backend.catalog.checkpoints import newest_resumable, resumable
from backend.catalog.disk_space import refuse_full_disk
from backend.errors import LaunchError, StudioError
from backend.ids import RunId, new_run_id
from backend.jsonl import write_atomically
from backend.rewards.store import copy_reward_sources
from backend.runs.events import Event, read_events
from backend.runs.folder import CommandRecord, RunFolder, StopMode, StopRecord, read_record
from backend.settings import Workspace
from backend.spec.deepspeed import deepspeed_config
from backend.spec.run import RunSpec
from backend.store.queue import Claim
from backend.store.runs import RunStore
from backend.store.views import RunView
from launcher.commands import (
    Command,
    dry_run_command,
    evaluation_command,
    free_port,
    keeper_command,
    run_environment,
    training_command,
)
from launcher.deletion import delete_run, empty_trash
from launcher.devices import Device, Machine, describe
from launcher.keeper_lock import take_lock
from launcher.keeper_settings import KeeperSettings
from launcher.logs import read_tail
from launcher.processes import start_detached
from launcher.reconciler import end_without_keeper, settle, settle_all

OnEvent = Callable[[Event], None]
_NOT_STARTED = (OSError, ValueError, StudioError, SQLAlchemyError)


def new_folder(spec: RunSpec, workspace: Workspace) -> RunFolder:
    """Make the folder of a new run; its spec is written last, and before that it is no run.

    Raises:
        OSError: the disk refuses; nothing is left then.
        StudioError: a reward of the run is not there; nothing is left either.
    """
    datasets = [share.name for share in spec.data.datasets[:1]]
    run_id = new_run_id(spec.name or " ".join([spec.strategy.name, *datasets]), datetime.now().astimezone())
    folder, number = RunFolder(workspace.output / run_id), 1
    while True:
        try:
            folder.path.mkdir()
            break
        except FileExistsError:  # another of that name in the same second
            number += 1
            folder = RunFolder(workspace.output / f"{run_id}-{number}")
    try:
        if spec.kind != "evaluation":
            write_atomically(folder.deepspeed, json.dumps(deepspeed_config(spec), indent=2).encode())
        copy_reward_sources(spec, folder, workspace)
        write_atomically(folder.spec, spec.model_dump_json(indent=2).encode())
    except (OSError, StudioError):
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


class RunManager:
    """Every act on runs. Safe to use from many threads and processes at once."""

    def __init__(
        self,
        workspace: Workspace,
        runs: RunStore,
        settings: KeeperSettings | None = None,
        devices: tuple[Device, ...] | None = None,
    ) -> None:
        """Take a workspace and its index.

        Args:
            workspace: where the runs lie.
            runs: the index of the same workspace.
            settings: for the keepers started from here, and handed on by them to those they start.
            devices: what may be given out; by default what this machine has.
        """
        self.workspace = workspace
        self.runs = runs
        self._settings = settings or KeeperSettings()
        self._machine = Machine(devices)
        self._submitted: set[RunId] = set()
        self._lock = threading.RLock()
        self._stop_lock = threading.Lock()  # apart: a stop must not wait for a sweep
        workspace.prepare()
        empty_trash(workspace)

    @classmethod
    def open(cls, workspace: Workspace, settings: KeeperSettings | None = None) -> Self:
        """Open a workspace together with its index. Raises StudioError where the index cannot be opened."""
        return cls(workspace, RunStore(workspace), settings)

    @property
    def devices(self) -> tuple[Device, ...]:
        """What there is to run on: GPUs, or the CPU as one device; nothing while the GPUs' driver does not answer."""
        return self._machine.visible

    def describe_devices(self) -> str:
        """Say in a few words what there is to run on, e.g. `2 CPU cores · 24 GB`."""
        return describe(self.devices)

    def submit(self, spec: RunSpec) -> RunId:
        """Write a new run's folder and queue it; it starts at once where its devices are free.

        Returns:
            Its id. Where it could not be started after all, its state is `failed` and says why.

        Raises:
            LaunchError: it names a GPU that is not there, the disk is too full, or its folder cannot be written.
            StudioError: the index cannot be written; nothing of the run is left.
        """
        missing = _missing(spec, self.devices)
        if missing:
            hint = f"Choose among what there is ({self.describe_devices()}), or name no GPU"
            raise LaunchError(f"There is no {' and no '.join(f'`{name}`' for name in missing)} here", hint=hint)
        refuse_full_disk(spec, self.workspace)
        try:
            folder = new_folder(spec, self.workspace)
        except OSError as error:
            raise LaunchError(f"The run's folder cannot be written: {error}", hint="Free some space") from error
        try:
            self.runs.add(folder.run_id, spec, time.time())
        except BaseException:  # a folder that stayed would be found, and started after all
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        self._submitted.add(folder.run_id)
        spec_sha256 = hashlib.sha256(folder.spec.read_bytes()).hexdigest()
        audit(self.workspace, "run.start", folder.run_id, kind=spec.kind, sha256=spec_sha256)
        self.schedule()
        return folder.run_id

    def resume(self, run_id: str, checkpoint: str = "") -> RunId:
        """Go on from a checkpoint of a run that has ended, as a new run chained to it.

        Args:
            run_id: which run.
            checkpoint: one of it; by default the newest that holds the optimizer's state.

        Raises:
            NotFoundError: no such run, or it has no such checkpoint.
            CheckpointError: the checkpoint is damaged.
            LaunchError: the run is still at work, or the new one cannot be submitted.
        """
        run = self.runs.get(run_id)
        if not run.is_over:
            raise LaunchError(f"`{run.id}` is still {run.state}", hint="Stop it first, or wait for its end")
        name = checkpoint or newest_resumable(run.folder)
        resumable(f"{run.id}/{name}", self.workspace)
        spec = run.spec.model_copy(update={"resumed_from": f"{run.id}/{name}", "name": run.name})
        return self.submit(spec)

    def schedule(self, *, judges: bool = True) -> None:
        """Reconcile, then start every queued run whose devices are free. Pages call it as often as they look.

        Args:
            judges: end queued runs that wait for a device which is not there. An ending keeper does not: a driver that
                is slow to answer just then would cost a run that can wait.
        """
        with self._lock:
            self.reconcile()
            if judges:
                self._fail_impossible()
            names = tuple(device.name for device in self.devices)
            # whoever hides all GPUs from this process means its own runs: the others wait for those GPUs
            only = self._submitted if self._machine.hides_gpus else None
            while names and (claim := self.runs.claim_next(names, free_port, only)):
                self._start(claim)

    def reconcile(self) -> None:
        """Bring the index up to what folders and processes tell: new events, ended runs, lost ones, unknown ones."""
        with self._lock:
            settle_all(self.runs)

    def stop(self, run_id: str, mode: StopMode = "save") -> RunView:
        """Ask a run to end. A queued one is out at once; one that is over stays as it is; asking twice is asking once.

        Args:
            run_id: which.
            mode: `save` writes a final model first, `now` does not. `now` may follow `save`, but not the reverse.

        Raises:
            NotFoundError: no run has that id.
            LaunchError: the request cannot be written down.
        """
        run = self.runs.get(run_id)
        if run.is_over:
            return run
        audit(self.workspace, "run.stop", run.id, mode=mode)
        if self._leave_queue(run):
            return self.runs.get(run_id)
        with self._stop_lock:
            request = read_record(run.folder.stop, StopRecord)
            if request is None or (request.mode, mode) == ("save", "now"):
                new_request = StopRecord(mode=mode, asked_at=time.time())
                try:
                    write_atomically(run.folder.stop, new_request.model_dump_json().encode())
                except OSError as error:
                    raise LaunchError(f"`{run.id}` cannot be told to stop: {error}", hint="Free some space") from error
        self.runs.transition(run.id, "stopping", ("starting", "running"))
        return self.runs.get(run_id)

    def delete(self, run_id: str) -> None:
        """Delete a run that is not at work, with its folder. Raises LaunchError where it is used, NotFoundError."""
        with self._lock:
            delete_run(self.workspace, self.runs, run_id)
        audit(self.workspace, "run.delete", run_id)

    def log_tail(self, run_id: str, lines: int = 200) -> str:
        """Return the last lines of a run's log, without colours and secrets, at the same cost whatever its size."""
        return read_tail(self.runs.get(run_id).folder.log, lines)

    def wait(self, run_id: str, on_event: OnEvent | None = None, poll_s: float = 0.3) -> RunView:
        """Follow a run to its end; Ctrl-C leaves it alive.

        Args:
            run_id: which.
            on_event: called with each event of the run, from its first one on.
            poll_s: seconds between two looks.
        """
        offset = 0
        while True:
            run = self.runs.get(run_id)
            if run.is_active:
                settle(self.runs, run)
            elif run.state == "queued":
                self.schedule()
            run = self.runs.get(run_id)
            offset = _forward_events(run.folder, offset, on_event)
            if run.is_over:
                return run
            time.sleep(poll_s)

    def _fail_impossible(self) -> None:
        """End queued runs that wait for a GPU which is no longer there, hidden or not: they would wait for ever."""
        for run in self.runs.views(states=("queued",)):
            missing = _missing(run.spec, self._machine.present)
            if missing:
                reason = f"It waited for {', '.join(missing)}, which this machine does not have"
                hint = "Start it again on other devices"
                end_without_keeper(self.runs, run.folder, "failed", reason, hint, was_queued=True)

    def _leave_queue(self, run: RunView) -> bool:
        reason = "It was stopped before it started"
        return end_without_keeper(self.runs, run.folder, "stopped", reason, was_queued=True)

    def _start(self, claim: Claim) -> None:
        """Start the keeper of a claimed run. Where another keeper has it already, that one goes on."""
        try:
            run = self.runs.get(claim.run_id)
            lock = take_lock(run.folder)
            if lock is None:
                return
            with lock:  # the keeper goes on holding it, by its stdout
                command = self._command_of(run, claim)
                environment = command.environment()
                record = CommandRecord(argv=command.argv, env=environment, cwd=str(run.folder.path.resolve()))
                write_atomically(run.folder.command, record.model_dump_json(indent=2).encode())
                keeper = keeper_command(run.folder, self._settings, claim.devices)
                start_detached(keeper.argv, environment=keeper.environment(), folder=run.folder.path, output=lock)
        except _NOT_STARTED as error:
            reason = f"It could not be started: {error.message if isinstance(error, StudioError) else error}"
            folder = RunFolder(self.workspace.output / claim.run_id)
            end_without_keeper(self.runs, folder, "failed", reason, "Correct that and start it again")
            self.runs.release(claim.run_id)

    def _command_of(self, run: RunView, claim: Claim) -> Command:
        threads, processes = run.spec.devices.threads, run.spec.devices.processes
        if not self._settings.program and run.spec.kind in ("evaluation", "reward_check"):
            command = evaluation_command if run.spec.kind == "evaluation" else dry_run_command
            return command(run.folder, claim.devices, threads=threads)
        if not self._settings.program:
            return training_command(run.folder, claim.devices, claim.port, threads=threads, processes=processes)
        argv = (*self._settings.program, str(run.folder.path.resolve()))
        return Command(argv, run_environment(run.folder, claim.devices, threads=threads, processes=processes))


def _missing(spec: RunSpec, devices: tuple[Device, ...]) -> list[str]:
    """The GPUs that a run names and that are not among `devices`; where none is known, none can be missed."""
    present = {device.name for device in devices}
    named = [f"cuda:{index}" for index in spec.devices.gpus if devices]
    return [name for name in named if name not in present]


def _forward_events(folder: RunFolder, offset: int, on_event: OnEvent | None) -> int:
    """Hand on the events behind `offset`; return where they end."""
    while True:
        batch = read_events(folder.events, offset)
        for event in batch.events:
            if on_event is not None:
                on_event(event)
        if batch.end == offset:
            return offset
        offset = batch.end
