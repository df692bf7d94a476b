"""What this machine grants to tests, found out by trying; a test says `@pytest.mark.needs("tmpfs")`."""

import ctypes
import shutil
import subprocess
from functools import cache
from pathlib import Path

LANDLOCK_CREATE_RULESET = 444  # the system call's number, on every architecture
VERSION_ONLY = 1


def _succeeds(*argv: str) -> bool:
    return bool(shutil.which(argv[0])) and subprocess.run(argv, capture_output=True, timeout=20).returncode == 0


def _landlock() -> bool:
    return ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION_ONLY) > 0


def _accepts_full_device() -> bool:
    try:
        with Path("/dev/full").open("wb", buffering=0) as sink:
            sink.write(b"x")
    except OSError as error:
        return error.errno == 28
    return False


PROBES = {
    "namespaces": lambda: _succeeds("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "true"),
    "landlock": _landlock,
    "tmpfs": lambda: _succeeds("unshare", "-Urm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"),
    "full device": _accepts_full_device,
    "chromium": lambda: bool(shutil.which("chromium")),
    "proc": lambda: Path("/proc/self/environ").exists(),
}


@cache
def has(probe: str) -> bool:
    """Tell whether this machine grants it; tried once."""
    return PROBES[probe]()


def summary() -> str:
    """One line for the head of a test run."""
    return "probes: " + ", ".join(f"{probe} {'yes' if has(probe) else 'NO'}" for probe in PROBES)
