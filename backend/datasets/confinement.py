"""How a program that decodes foreign bytes is started, and what it may use; a crash or a bomb harms only itself."""

import resource
import sys

from backend.settings import ROOT, child_environment


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """Build the argv that runs `module` of this package with the same Python."""
    return (sys.executable, "-P", "-m", module, *arguments)


def environment() -> dict[str, str]:
    """What such a program may see: where this package lies, and none of the person's secrets."""
    return child_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def confine(memory_bytes: int) -> None:
    """Limit the calling process: address space, and no core dumps."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
