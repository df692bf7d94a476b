"""Limits of one process: memory, the size and number of files, processes, processor time.

Loaded by `worker` in the child, so nothing but the standard library is imported. Totals over all that a reward starts
are kept by `supervisor`.
"""

import resource
import signal
from typing import Final

MAX_FILE_BYTES: Final = 64 * 1024**2
MAX_OPEN_FILES = 256
MAX_PROCESSES = 256  # threads as well; counted in the worker's own user namespace: it would count the whole user's
SPARE_PROCESSOR_S = 60


def limit(memory_bytes: int, *, has_own_user: bool) -> bool:
    """Lower what this process, and each that it starts, may use. Returns whether all of it was granted.

    Args:
        memory_bytes: of address space.
        has_own_user: whether it is in a user namespace of its own, where its processes are counted apart.
    """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an OSError, not the end
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: MAX_FILE_BYTES,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if has_own_user:
        limits[resource.RLIMIT_NPROC] = MAX_PROCESSES
    return all([_lower(kind, most) for kind, most in limits.items()])


def allow_processor_time(seconds: float) -> None:
    """Let this process, and every one it starts from now on, compute for ten times `seconds` and a minute.

    The deadline from outside comes long before; this ends what outlives it unseen.
    """
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(spent + 10 * seconds + SPARE_PROCESSOR_S)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed if hard < 0 else min(allowed, hard), hard))


def _lower(kind: int, most: int) -> bool:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(kind, (most, most))
    except (OSError, ValueError):
        return False
    return True
