"""Two processes between the parent and the reward's own, so that nothing outlives it and nothing outgrows its totals.

    supervisor      sees the parent's processes; keeps the totals; ends everything when the parent is gone
      init          the first of the worker's own processes: the kernel ends all others with it; inherits orphans
        worker      the reward, and whatever it starts

Where there are no processes of its own, orphans come to the supervisor, which ends them by their descent. Its standard
input is a socket: when the parent closes it, or dies, all is over; what goes the other way is the reason for an end.

Loaded by `worker` in the child, so nothing but the standard library is imported.
"""

import ctypes
import os
import resource
import select
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, NoReturn

MAX_TASKS = 256  # processes and their threads
CHECK_S = 0.1  # how often the totals are looked at
CHECK_PAUSE_FACTOR = 20  # a look that takes long is followed by a pause that is this many times longer
MAX_KILL_ROUNDS = 500
_LIFE = 0  # standard input
_DIE_WITH_PARENT, _ADOPT_ORPHANS = 1, 36
_PAGE_BYTES = resource.getpagesize()
_MIB = 1 << 20


class TotalLimits(NamedTuple):
    """What a worker and all that it starts may use together."""

    folder: str
    memory_bytes: int  # in use
    folder_bytes: int
    folder_files: int


def fork_worker(totals: TotalLimits, to_close: Iterable[int]) -> None:
    """Return in the process for foreign code; the two others never return.

    Args:
        totals: to keep.
        to_close: file numbers that are the worker's alone.
    """
    _prctl(_ADOPT_ORPHANS, 1)
    reader, writer = os.pipe()
    init = os.fork()
    if init:
        _close(writer, *to_close)
        _watch(init, reader, totals)
    _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.close(reader)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _LIFE)
    os.close(nothing)
    worker = os.fork()
    if worker:
        _close(*to_close)
        _reap(worker, writer)
    os.close(writer)
    _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    os.setsid()
    with suppress(OSError):  # whoever takes the machine's last memory, this ends first, not the training
        Path("/proc/self/oom_score_adj").write_text("1000")


def can_count() -> bool:
    """Whether this kernel tells which process started which."""
    return Path("/proc/thread-self/children").exists()


def _reap(worker: int, writer: int) -> NoReturn:
    """Be the first process: wait for every child, and tell how the worker ended."""
    _forward_dump_requests(worker)
    pid, status = os.wait()
    while pid != worker:
        pid, status = os.wait()
    os.write(writer, status.to_bytes(4, "little"))
    os._exit(0)


def _watch(init: int, reader: int, totals: TotalLimits) -> NoReturn:
    """Wait for an end: the worker's own, the parent's, or because it outgrew its totals. Then end as it did."""
    _forward_dump_requests(init)
    ends = select.poll()
    ends.register(_LIFE, select.POLLIN)  # nothing ever comes but its end
    ends.register(reader, select.POLLIN)
    pause, reason = CHECK_S, ""
    while not reason and not (ready := dict(ends.poll(pause * 1000))):
        began = time.monotonic()
        reason = _exceeded_limit(totals)
        pause = max(CHECK_S, CHECK_PAUSE_FACTOR * (time.monotonic() - began))
    status_bytes = b"" if reason or reader not in ready else os.read(reader, 4)
    if reason:
        with suppress(OSError):
            os.write(_LIFE, reason.encode())
    os.kill(init, signal.SIGKILL)
    _, status = os.waitpid(init, 0)  # returns when all processes of its namespace are gone
    _end_descendants()
    shutil.rmtree(totals.folder, ignore_errors=True)
    _end_like(int.from_bytes(status_bytes, "little") if status_bytes else status)


def _exceeded_limit(totals: TotalLimits) -> str:
    """Say which total is exceeded; empty while none is."""
    tree = list(islice(_descendants(os.getpid()), MAX_TASKS + 1))
    tasks = sum(len(_entries(f"/proc/{pid}/task")) for pid in tree)
    if tasks > MAX_TASKS:
        return f"The worker and what it started are more than {MAX_TASKS} processes and threads"
    if _used_bytes(tree, totals.memory_bytes) > totals.memory_bytes:
        return f"The worker and what it started use more than {totals.memory_bytes // _MIB:,} MiB of memory"
    count, folder_bytes = _folder_use(totals, tree)
    if count > totals.folder_files:
        return f"The worker's folder holds more than {totals.folder_files:,} files"
    if folder_bytes > totals.folder_bytes:
        return f"The worker's folder holds more than {totals.folder_bytes // _MIB:,} MiB"
    return ""


def _descendants(pid: int) -> Iterator[int]:
    """Give what descends from a process, the nearest first."""
    waiting = [pid]
    while waiting:
        of = waiting.pop(0)
        for task in _entries(f"/proc/{of}/task"):
            with suppress(OSError):
                children = [int(child) for child in Path(f"/proc/{of}/task/{task}/children").read_text().split()]
                yield from children
                waiting += children


def _used_bytes(tree: list[int], enough: int) -> int:
    """Memory in use. Only where it seems too much are shared pages told apart, which takes far longer."""
    resident = {pid: int(_word(f"/proc/{pid}/statm", 1)) * _PAGE_BYTES for pid in tree}
    if sum(resident.values()) <= enough:
        return sum(resident.values())
    return sum(_proportional_bytes(pid) or most for pid, most in resident.items())


def _proportional_bytes(pid: int) -> int:
    """Memory of a process, what it shares divided by those who share it; 0 where that cannot be seen."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Pss:", "SwapPss:")))
    return 0


def _folder_use(totals: TotalLimits, tree: list[int]) -> tuple[int, int]:
    """Count the files and bytes of the folder, and of files that were removed from it but are still open.

    Where it is covered by one in memory, which keeps its own bounds, there is nothing to be seen from here.
    """
    sizes: dict[int, int] = {}  # bytes by the file's number
    for stat in chain(_below(totals.folder), _removed(tree, totals.folder)):
        sizes[stat.st_ino] = stat.st_blocks * 512
        if len(sizes) > totals.folder_files:
            break
    return len(sizes), sum(sizes.values())


def _below(folder: str) -> Iterator[os.stat_result]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):
                yield Path(parent, name).lstat()


def _removed(tree: list[int], folder: str) -> Iterator[os.stat_result]:
    with suppress(OSError):
        device = Path(folder).stat().st_dev
        for path in (f"/proc/{pid}/fd/{number}" for pid in tree for number in _entries(f"/proc/{pid}/fd")):
            with suppress(OSError):
                stat = Path(path).stat()
                if stat.st_dev == device and S_ISREG(stat.st_mode) and not stat.st_nlink:
                    yield stat


def _end_descendants() -> None:
    for _ in range(MAX_KILL_ROUNDS):
        remaining = list(_descendants(os.getpid()))
        for pid in remaining:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not remaining:
            return
        time.sleep(0.01)


def _end_like(status: int) -> NoReturn:
    """End as the worker did, so that whoever waits for this process learns of it."""
    if not os.WIFSIGNALED(status):
        os._exit(os.waitstatus_to_exitcode(status))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # of SIGKILL, which needs none
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(128 + os.WTERMSIG(status))


def _forward_dump_requests(child: int) -> None:
    """Hand on the question where it hangs."""

    def ask(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGUSR1, ask)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _close(*numbers: int) -> None:
    for number in numbers:
        os.close(number)


def _entries(folder: str) -> list[str]:
    with suppress(OSError):
        return [path.name for path in Path(folder).iterdir()]
    return []


def _word(path: str, number: int) -> str:
    with suppress(OSError, IndexError):
        return Path(path).read_text().split()[number]
    return "0"
