"""How programs that decode foreign bytes are confined, and how much what is packed may expand to."""

import resource
import subprocess
import sys

from backend.settings import ROOT, child_environment

MAX_UNPACKED_BYTES = 50 * 1024**3
MAX_RATIO = 200  # unpacked to packed, for what expands to more than the next line
RATIO_FREE_BYTES = 16 * 1024**2
MAX_COLUMNS = 1_000  # of a table: every row has them all, however few it fills


def max_unpacked_bytes(packed_bytes: int) -> int:
    """How many bytes so many packed ones may expand to."""
    return min(MAX_UNPACKED_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * packed_bytes))


class UnpackBudget:
    """What the archives and tables of one upload may expand to: each by its size, and all of them by theirs together.

    Without the second, a thousand small ones would each take what is free of the ratio.
    """

    def __init__(self) -> None:
        """Nothing is packed yet, and nothing unpacked."""
        self._packed_bytes = self._unpacked_bytes = 0

    def add_archive(self, packed_bytes: int) -> int:
        """Count one more archive or table, and say how many bytes it may expand to."""
        self._packed_bytes += packed_bytes
        return min(max_unpacked_bytes(packed_bytes), max_unpacked_bytes(self._packed_bytes) - self._unpacked_bytes)

    def spend(self, unpacked_bytes: int) -> None:
        """Count what the last one expanded to."""
        self._unpacked_bytes += unpacked_bytes


def worker_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Build the argv that runs `module` of this package with the same Python."""
    return (sys.executable, "-P", "-m", module, *arguments)


def start_worker(argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Start such a program to talk to, through unbuffered stdin and stdout."""
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(argv, env=_environment(), stdin=pipe, stdout=pipe, stderr=nowhere, bufsize=0)


def run_worker(argv: tuple[str, ...], timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    """Run such a program to its end. Raises subprocess.TimeoutExpired, the program then being dead."""
    return subprocess.run(
        argv, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
    )


def confine(memory_bytes: int) -> None:
    """Limit the calling process: address space, and no core dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _environment() -> dict[str, str]:
    """What such a program may see: where this package lies, and none of the person's secrets."""
    return child_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
