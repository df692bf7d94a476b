"""What a reward worker is kept from: it puts these walls around itself, for good, before foreign code runs.

Loaded by `worker` in the child, so nothing but the standard library is imported. Each wall is tried, and only what the
kernel grants is reported. A PID namespace is not among them: it holds only children, the first of which would have to
stay for the others to live.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MAX_FILE_BYTES: Final = 64 * 1024**2
MAX_OPEN_FILES = 256
MAX_PROCESSES = 256  # counted in the worker's own user namespace; without one it would count the whole user's
SPARE_PROCESSOR_S = 60

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
# Bits of `linux/landlock.h`. 0 to 12 came with the first version; later ones only where the kernel knows them.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST_RIGHTS, _REFER, _TRUNCATE, _IOCTL_DEVICE = (1 << 13) - 1, 1 << 13, 1 << 14, 1 << 15
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract unix sockets and signals stay inside
_READ = _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE  # the rights a rule for a file may name

SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/mime.types", "/dev/zero", "/dev/random", "/dev/urandom",
    "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
)  # fmt: skip


def confine(memory_bytes: int, readable: Iterable[str], writable: str) -> dict[str, bool]:
    """Put up every wall the kernel grants.

    Args:
        memory_bytes: of address space.
        readable: folders that may be read beside Python and the system.
        writable: the only folder that may be written.

    Returns:
        An `Isolation` of `backend.rewards.contract`: what was achieved.
    """
    limited = _limit(memory_bytes)
    has_own_network = _leave_network()
    if has_own_network:
        limited &= _lower(resource.RLIMIT_NPROC, MAX_PROCESSES)
    return {"limits": limited, "network": has_own_network, "files": _close_files(readable, writable)}


def allow_processor_time(seconds: float) -> None:
    """Let this process, and every one it starts from now on, compute for ten times `seconds` and a minute.

    The deadline from outside comes long before; this ends what outlives it unseen.
    """
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(spent + 10 * seconds + SPARE_PROCESSOR_S)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed if hard < 0 else min(allowed, hard), hard))


def _limit(memory_bytes: int) -> bool:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an OSError, not the end
    limits = {
        resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_FSIZE: MAX_FILE_BYTES,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES, resource.RLIMIT_CORE: 0,
    }  # fmt: skip
    return all([_lower(kind, limit) for kind, limit in limits.items()])


def _lower(kind: int, limit: int) -> bool:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    try:
        resource.setrlimit(kind, (limit, limit))
    except (OSError, ValueError):
        return False
    return True


def _leave_network() -> bool:
    """Move to a network of its own, in which not even the loopback is up."""
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None).unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        try:  # without these it is user 65534, which is as good for all but looks
            Path("/proc/self", name).write_text(line)
        except OSError:
            break
    return True


def _close_files(readable: Iterable[str], writable: str) -> bool:
    """Restrict files, and where the kernel can, TCP and signals, by Landlock."""
    call = ctypes.CDLL(None).syscall
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = _FIRST_RIGHTS | (_REFER * (version >= 2)) | (_TRUNCATE * (version >= 3)) | (_IOCTL_DEVICE * (version >= 5))
    handled = struct.pack("=QQQ", rights, _TCP * (version >= 4), _SCOPES * (version >= 6))
    handled = handled[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = call(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return False
    try:
        for path in (*SYSTEM, *_python_folders()):
            _allow(ruleset, path, _READ | _EXECUTE)
        for path in readable:
            _allow(ruleset, path, _READ)
        _allow(ruleset, "/dev/null", _READ_FILE | _WRITE_FILE)
        _allow(ruleset, writable, rights & ~_EXECUTE & ~_IOCTL_DEVICE)
        is_sealed = (
            ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and call(_RESTRICT_SELF, ruleset, 0) == 0
        )
    finally:
        os.close(ruleset)
    return is_sealed and _is_refused("/")


def _python_folders() -> set[str]:
    return {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sysconfig.get_paths().values()}


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add a rule for what lies at `path`; what does not exist needs none."""
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = struct.pack("=Qi", rights if Path(path).is_dir() else rights & _ON_FILES, handle)
        ctypes.CDLL(None).syscall(_ADD_RULE, ruleset, 1, rule, 0)
    finally:
        os.close(handle)


def _is_refused(folder: str) -> bool:
    try:
        os.scandir(folder).close()
    except PermissionError:
        return True
    return False
