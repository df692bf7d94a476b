"""Landlock: which files the worker may open, and that its signals and abstract sockets stay inside.

Loaded by `worker` in the child, so nothing but the standard library is imported.
Source: https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

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


class Restriction(NamedTuple):
    """What the kernel's version of Landlock achieves."""

    opening: bool  # only what is allowed can be opened
    truncating: bool  # nor can what may be read be cut
    signals: bool  # processes outside cannot be signalled


def restrict(readable: Iterable[str], writable: str) -> Restriction:
    """Close the files to this process and all it starts, and where the kernel can, TCP and signals.

    Args:
        readable: folders that may be read beside Python and the system.
        writable: the only folder that may be written. What lies there may not be executed.
    """
    call = ctypes.CDLL(None).syscall
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return Restriction(opening=False, truncating=False, signals=False)
    rights = _FIRST_RIGHTS | (_REFER * (version >= 2)) | (_TRUNCATE * (version >= 3)) | (_IOCTL_DEVICE * (version >= 5))
    handled = struct.pack("=QQQ", rights, _TCP * (version >= 4), _SCOPES * (version >= 6))
    handled = handled[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = call(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return Restriction(opening=False, truncating=False, signals=False)
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
    is_sealed = is_sealed and _is_refused("/")
    return Restriction(is_sealed, truncating=is_sealed and version >= 3, signals=is_sealed and version >= 6)


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
