"""Start processes, know them again, and signal all of a run's; the only file that starts any.

A pid is no identity: it is reused. A process is known by its pid, the moment it started and the boot it belongs to, and
one that belongs to a run carries the run's id and folder in its environment, however far it has detached itself.
Linux only: identities come from /proc.
"""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from backend.runs.folder import FOLDER_MARKER, RUN_MARKER, ProcessRecord, RunFolder

LARGEST_PID = 2**22  # the kernel's own limit on 64-bit machines
_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Identity(NamedTuple):
    """One process, and no later one with the same pid."""

    pid: int
    start_ticks: int  # field 22 of /proc/<pid>/stat
    boot_id: str


class CommandOutput(NamedTuple):
    """How a short command ended, and what it printed."""

    code: int | None  # its exit code; None where it did not end in time or could not be started
    stdout: str


class _Stat(NamedTuple):
    state: str
    session: int
    start_ticks: int


def boot_id() -> str:
    """Name this boot of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identify(pid: int) -> Identity | None:
    """Take down who has `pid` now; None where nobody has, or only a zombie."""
    stat = _stat(pid)
    return None if stat is None or stat.state in "ZX" else Identity(pid, stat.start_ticks, boot_id())


def is_alive(identity: Identity) -> bool:
    """Tell whether exactly this process still runs. A zombie does not."""
    return is_signallable(identity.pid) and identify(identity.pid) == identity


def is_signallable(pid: object) -> bool:
    """Tell whether `pid` may be signalled at all: 0, 1, negative numbers, booleans and texts may not."""
    return type(pid) is int and 1 < pid <= LARGEST_PID and pid != os.getpid()


def child_of(record: ProcessRecord) -> Identity:
    """The program's first process, as the keeper wrote it down."""
    return Identity(record.pid, record.start_ticks, record.boot_id)


def keeper_of(record: ProcessRecord) -> Identity:
    """The keeper, as it wrote itself down."""
    return Identity(record.keeper_pid, record.keeper_start_ticks, record.boot_id)


def start(
    argv: Sequence[str], *, environment: Mapping[str, str], folder: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `argv` as the leader of a new session, with nothing open but /dev/null and `output`.

    Args:
        argv: the program and its arguments; no shell ever reads them.
        environment: all that the process sees.
        folder: its working directory.
        output: takes stdout and stderr: a file, never a pipe, so that nobody has to read it.

    Raises:
        OSError: the program is missing, or the system has no process left to give.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def start_detached(argv: Sequence[str], *, environment: Mapping[str, str], folder: Path, output: IO[bytes]) -> None:
    """Start `argv` and let it go: it outlives this process, and leaves no zombie while this process lives."""
    process = start(argv, environment=environment, folder=folder, output=output)
    threading.Thread(target=process.wait, name=f"reap {process.pid}", daemon=True).start()


def has_ended(pid: int) -> bool:
    """Tell whether a child of this process has ended, without reaping it: while a zombie, its pid stays its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, where the kernel allows; else init does."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(*, but: int = 0) -> None:
    """Reap every child of this process that has ended, adopted ones included; stops where it meets `but`."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid == but:
                return
            os.waitpid(ended.si_pid, 0)


def run_briefly(argv: Sequence[str], *, timeout_s: float) -> CommandOutput | None:
    """Run a short command. One that takes too long is killed but not waited for: it may hang inside the kernel.

    Returns:
        How it ended; None where there is no such command.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError:
        return None
    except OSError:
        return CommandOutput(None, "")
    try:
        stdout, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        threading.Thread(target=process.communicate, name=f"reap {process.pid}", daemon=True).start()
        return CommandOutput(None, "")
    return CommandOutput(process.returncode, stdout)


def members(folder: RunFolder, leader: Identity | None = None) -> list[Identity]:
    """Find every living process of a run: those of its leader's session, and those that carry its marker.

    Args:
        folder: the run's.
        leader: the session's leader, where it is known. It counts while its pid is still its own: a session whose
            leader is gone may be another one by now, so then only the marker tells.
    """
    session = leader.pid if leader is not None and _is_same(leader) else None
    marks = {f"{RUN_MARKER}={folder.run_id}".encode(), f"{FOLDER_MARKER}={folder.path.resolve()}".encode()}
    boot, identities = boot_id(), []
    for entry in _PROC.iterdir():
        pid = int(entry.name) if entry.name.isdecimal() else 0
        stat = _stat(pid) if is_signallable(pid) else None
        if stat is None or stat.state in "ZX":
            continue
        if stat.session == session or marks <= set(_environment(pid)):
            identities.append(Identity(pid, stat.start_ticks, boot))
    return identities


def end_all(folder: RunFolder, leader: Identity | None, *, term_s: float, kill_s: float = 10.0) -> bool:
    """End every process of a run: asked to at first, killed after `term_s` seconds.

    Returns:
        Whether none is left. One that even a kill does not end within `kill_s` hangs inside the kernel.
    """
    for number, patience_s in ((signal.SIGTERM, term_s), (signal.SIGKILL, kill_s)):
        deadline = time.monotonic() + patience_s
        remaining = members(folder, leader)
        for one in remaining:
            send(one, number)
        while remaining and time.monotonic() < deadline:
            time.sleep(0.05)
            remaining = members(folder, leader)
            if number == signal.SIGKILL:  # who was started meanwhile
                for one in remaining:
                    send(one, number)
        if not remaining:
            return True
    return False


def send(identity: Identity, number: signal.Signals) -> bool:
    """Signal exactly this process; tell whether it was there. Somebody else who has its pid by now is left alone."""
    if not is_alive(identity):
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(identity.pid, number)
        return True
    return False


def _is_same(leader: Identity) -> bool:
    """Whether the leader's pid is still its own, be it as a zombie that nobody has reaped yet."""
    stat = _stat(leader.pid) if is_signallable(leader.pid) else None
    return stat is not None and stat.start_ticks == leader.start_ticks and leader.boot_id == boot_id()


def _stat(pid: int) -> _Stat | None:
    try:
        content = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = content[content.rindex(b")") + 2 :].split()  # the name before it may hold spaces and brackets
    return _Stat(fields[0].decode(), int(fields[3]), int(fields[19]))


def _environment(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
