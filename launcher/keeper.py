"""How often the kernel has killed for want of memory: the evidence behind `ran out of memory`."""

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from backend.jsonl import write_atomically
from backend.runs.events import Event, read_events
from backend.runs.folder import CommandRecord, ExitRecord, ProcessRecord, RunFolder, StopMode, StopRecord, read_record
from backend.settings import Workspace
from backend.spec.run import RunSpec
from launcher.commands import free_port, with_port
from launcher.exit_reasons import Evidence, ExitReason, judge, signal_of
from launcher.keeper_lock import drop_lock, take_lock
from launcher.keeper_settings import KeeperSettings
from launcher.logs import keep_short, read_end
from launcher.processes import Identity, adopt_orphans, boot_id, end_all, has_ended, identify, reap_orphans, start

COUNTERS = (
    Path("/proc/vmstat"),
    Path("/sys/fs/cgroup/memory.events"),  # of this container, cgroup 2
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # cgroup 1
)
EVIDENCE_BYTES = 64 << 10  # of the log's end, read for a verdict
PORT_TRIES = 3
PORT_TAKEN = ("EADDRINUSE", "Address already in use", "address already in use")
BALLAST_BYTES = 64 << 10  # more than exit.json and its temporary file take, in whatever blocks a disk counts
_log = logging.getLogger(__name__)


def oom_kills(counters: tuple[Path, ...] = COUNTERS) -> int:
    """Sum the `oom_kill` counters that can be read. Only differences mean anything."""
    total = 0
    for path in counters:
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return total


class Keeper:
    """One run's keeper, from before its program starts until nothing of it is left."""

    def __init__(self, folder: RunFolder, settings: KeeperSettings, devices: tuple[str, ...]) -> None:
        """Take the run; nothing is started yet."""
        self._folder, self._settings, self._devices = folder, settings, devices
        self._evidence = Evidence(status=None)
        self._events_offset = 0
        self._was_terminated = False
        self._oom_kills_before = oom_kills()
        self._end_event_at: float | None = None  # this and all below: time.monotonic()
        self._saving_since: float | None = None
        self._stop_requested_at = 0.0
        self._grace_since = 0.0
        self._begun = time.monotonic()

    def run(self) -> ExitRecord:
        """Start the command, wait for its end, end what is left of it, and write exit.json."""
        signal.signal(signal.SIGTERM, self._on_term)
        adopt_orphans()
        with suppress(OSError):  # it may be full already: then there is no promise to keep
            self._folder.ballast.write_bytes(os.urandom(BALLAST_BYTES))  # zeros might take no room
        try:
            for _ in range(PORT_TRIES):
                log_start = self._folder.log.stat().st_size if self._folder.log.exists() else 0
                self._run_once()
                if not self._met_taken_port(log_start):
                    break
        except OSError as error:
            self._evidence = replace(self._evidence, status=None, start_error=str(error))
        return self._write_exit()

    def _on_term(self, _number: int, _frame: object) -> None:
        self._was_terminated = True

    def _run_once(self) -> None:
        """Run the command once. Raises OSError where it cannot be started or written down; nothing is left running."""
        command = read_record(self._folder.command, CommandRecord)
        if command is None:
            raise FileNotFoundError(f"`{self._folder.command.name}` is missing or damaged")
        with self._folder.log.open("ab", buffering=0) as log:
            process = start(command.argv, environment=command.env, folder=Path(command.cwd), output=log)
        leader = identify(process.pid) or Identity(process.pid, 0, boot_id())  # it may be over already
        try:
            self._write_process(leader)
            while not has_ended(process.pid):
                self._poll(leader)
                time.sleep(self._settings.poll_s)
        finally:
            # the leader is a zombie until it is reaped below, so its session is still surely its own
            end_all(self._folder, leader, term_s=min(self._settings.term_s, 5.0))
            self._evidence = replace(self._evidence, status=_reap(process))
            reap_orphans()
        self._read_events()

    def _poll(self, leader: Identity) -> None:
        """Whatever is to be done while the program runs."""
        reap_orphans(but=leader.pid)
        keep_short(self._folder.log, self._settings.max_log_bytes)
        self._read_events()
        now = time.monotonic()
        if self._end_event_at is not None and now - self._end_event_at > self._settings.hang_s:
            self._evidence = replace(self._evidence, was_hung=True)
            end_all(self._folder, leader, term_s=self._settings.term_s)
        elif self._stop_is_overdue(now):
            end_all(self._folder, leader, term_s=self._settings.term_s)

    def _stop_is_overdue(self, now: float) -> bool:
        """Read stop.json, and tell whether the program has had its time to obey."""
        mode = self._requested_stop()
        if mode is None:
            return False
        if mode != self._evidence.stop_mode:
            self._evidence = replace(self._evidence, stop_mode=mode)
            self._stop_requested_at = self._grace_since = now
        if mode == "save" and self._is_saving(now):
            self._grace_since = now  # whatever else it has to do begins after that
        has_work_to_save = mode == "save" and self._events_offset > 0
        grace_s = self._settings.save_grace_s if has_work_to_save else self._settings.now_grace_s
        return now - self._grace_since > grace_s

    def _is_saving(self, now: float) -> bool:
        """Whether the program said that it is saving, and has not been at it for longer than may be."""
        if self._saving_since is None:
            return False
        return now - max(self._saving_since, self._stop_requested_at) <= self._settings.saving_grace_s

    def _requested_stop(self) -> StopMode | None:
        request = read_record(self._folder.stop, StopRecord) if self._folder.stop.exists() else None
        return "now" if self._was_terminated else request.mode if request is not None else None

    def _read_events(self) -> None:
        while True:
            batch = read_events(self._folder.events, self._events_offset)
            for event in batch.events:
                self._record_event(event)
            if batch.end == self._events_offset:
                return
            self._events_offset = batch.end

    def _record_event(self, event: Event) -> None:
        if event.kind == "end" and self._end_event_at is None:
            self._end_event_at = time.monotonic()
            self._evidence = replace(self._evidence, end=event.values)
        elif event.kind == "note" and event.values.get("level") == "error":
            self._evidence = replace(self._evidence, error=event.values)
        if event.kind in ("progress", "checkpoint", "end"):  # a checkpoint is told of when it is whole
            is_saving = event.kind == "progress" and event.values.get("phase") == "saving"
            self._saving_since = time.monotonic() if is_saving else None

    def _met_taken_port(self, log_start: int) -> bool:
        """Where somebody else took the run's port before its first event, put another into command.json."""
        command = read_record(self._folder.command, CommandRecord)
        log_end = read_end(self._folder.log, EVIDENCE_BYTES, log_start)
        if self._events_offset or self._evidence.status == 0 or not any(sign in log_end for sign in PORT_TAKEN):
            return False
        if command is None or self._requested_stop() is not None:
            return False
        argv = with_port(command.argv, free_port(set()))
        write_atomically(self._folder.command, command.model_copy(update={"argv": argv}).model_dump_json().encode())
        return argv != command.argv

    def _write_process(self, leader: Identity) -> None:
        own = identify(os.getpid())
        record = ProcessRecord(
            pid=leader.pid,
            start_ticks=leader.start_ticks,
            keeper_pid=os.getpid(),
            keeper_start_ticks=own.start_ticks if own is not None else 0,
            boot_id=leader.boot_id,
            devices=self._devices,
            started_at=time.time(),
        )
        write_atomically(self._folder.process, record.model_dump_json().encode())

    def _write_exit(self) -> ExitRecord:
        tail = read_end(self._folder.log, EVIDENCE_BYTES)
        stop_mode = self._requested_stop() or self._evidence.stop_mode
        kills = oom_kills() - self._oom_kills_before
        disk = os.statvfs(self._folder.path)
        self._evidence = replace(
            self._evidence,
            log_tail=tail,
            stop_mode=stop_mode,
            oom_kills=kills,
            disk_free_bytes=disk.f_bavail * disk.f_frsize,
        )
        record = self._exit_record(judge(self._evidence, _spec_of(self._folder)))
        with suppress(OSError):
            self._folder.ballast.unlink()
        _write_stubbornly(self._folder.exit, record.model_dump_json().encode(), self._settings)
        return record

    def _exit_record(self, verdict: ExitReason) -> ExitRecord:
        status = self._evidence.status
        code = None if status is None else os.waitstatus_to_exitcode(status)
        number = None if code is None else signal_of(code)
        return ExitRecord(
            raw_status=status,
            exit_code=code if code is not None and code >= 0 else None,
            signal=number.name if number is not None else None,
            duration_s=round(time.monotonic() - self._begun, 3),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
            state=verdict.state,
            reason=verdict.reason,
            hint=verdict.hint,
            ended_at=time.time(),
        )


def main() -> None:
    """Keep one run, then bring the index up to date and start the next one."""
    folder = RunFolder(Path(sys.argv[1]))
    settings = KeeperSettings.model_validate_json(sys.argv[2]) if len(sys.argv) > 2 else KeeperSettings()
    devices = tuple(sys.argv[3].split(",")) if len(sys.argv) > 3 else ()
    lock = take_lock(folder)
    if lock is None or folder.exit.exists():
        sys.exit(f"{folder.run_id} has a keeper already, or has ended")
    try:
        Keeper(folder, settings, devices).run()
    finally:  # also where not even its end could be written down
        drop_lock(lock)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        start_next(folder, settings)


def start_next(folder: RunFolder, settings: KeeperSettings) -> None:
    """Bring the index up to date and start the next run, again and again while that fails or devices are not free."""
    from launcher.run_manager import RunManager  # noqa: PLC0415 - slow to import, and needed only now

    launcher: RunManager | None = None
    deadline = time.monotonic() + settings.next_s
    while folder.path.parent.is_dir():  # somebody may remove the workspace meanwhile
        try:
            launcher = launcher or RunManager.open(Workspace(folder.path.parent.parent), settings)
            launcher.schedule(judges=False)
            if launcher.devices and all(lease.run_id != folder.run_id for lease in launcher.runs.leases()):
                break
        except Exception:  # noqa: BLE001 - a locked index or a full disk now says nothing about some seconds later
            _log.exception("the next run could not be started; trying again")
        if time.monotonic() > deadline:
            break
        time.sleep(settings.pause_s)
    if launcher is not None:
        launcher.runs.close()


def _spec_of(folder: RunFolder) -> RunSpec:
    """The run's spec, for the numbers in hints; the defaults where it cannot be read: that must not hide the end."""
    try:
        return RunSpec.model_validate_json(folder.spec.read_bytes())
    except (OSError, ValidationError):
        return RunSpec()


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Take the exit status of a process that has ended, as os.waitpid gives it."""
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return status


def _write_stubbornly(path: Path, content: bytes, settings: KeeperSettings) -> None:
    """Write although the disk may be full just now. Raises OSError once it has been for too long."""
    deadline = time.monotonic() + settings.write_s
    while True:
        try:
            return write_atomically(path, content)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(settings.pause_s)


if __name__ == "__main__":
    main()
