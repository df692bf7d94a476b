"""How a program that decodes foreign bytes is started, and what it may use; a crash or a bomb harms only itself."""

import resource
import subprocess
import sys

from backend.settings import ROOT, child_environment


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """Build the argv that runs `module` of this package with the same Python."""
    return (sys.executable, "-P", "-m", module, *arguments)


def start(argv: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Start such a program to talk to, through unbuffered stdin and stdout."""
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(argv, env=_environment(), stdin=pipe, stdout=pipe, stderr=nowhere, bufsize=0)


def run(argv: tuple[str, ...], timeout_s: float) -> subprocess.CompletedProcess[bytes]:
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
