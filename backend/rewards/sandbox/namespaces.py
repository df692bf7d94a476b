"""Namespaces: a network, processes and a view of the files that are the worker's own, and no privileges in any of them.

Loaded by `worker` in the child, so nothing but the standard library is imported. Where the kernel or a container
refuses them, `seccomp`, `landlock` and `supervisor` close what they can of the same.
"""

import ctypes
import os
import struct
from pathlib import Path
from typing import NamedTuple

MAX_FOLDER_BYTES = 256 * 1024**2  # of all files in the worker's folder together
MAX_FOLDER_FILES = 16 * 1024
_NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_NEW_IPC, _NEW_MOUNTS = 0x08000000, 0x00020000
# From `linux/mount.h`, `linux/prctl.h` and `linux/capability.h`.
_NO_SUID, _NO_DEVICES, _RECURSIVE, _PRIVATE = 2, 4, 0x4000, 1 << 18
_MOUNT_SETATTR, _HERE, _WHOLE_TREE, _READ_ONLY = 442, -100, 0x8000, 1
_DROP_FROM_BOUNDING_SET, _CAPABILITIES_VERSION = 24, 0x20080522
_KEPT_CAPABILITY = 1 << 2  # CAP_DAC_READ_SEARCH: root in a container reads images that are another user's


class Separation(NamedTuple):
    """What of its own the worker got."""

    user: bool = False
    network: bool = False
    processes: bool = False


def separate() -> Separation:
    """Leave the network, and let the next child be the first of processes that see no others and end with it."""
    user, group = os.getuid(), os.getgid()
    apart = _NEW_NETWORK | _NEW_PROCESSES | _NEW_IPC
    for flags in (_NEW_USER | apart, apart, _NEW_USER | _NEW_NETWORK):
        if ctypes.CDLL(None).unshare(flags) == 0:
            if flags & _NEW_USER:
                _keep_identity(user, group)
            return Separation(bool(flags & _NEW_USER), network=True, processes=bool(flags & _NEW_PROCESSES))
    return Separation()


def protect_files(folder: str) -> bool:
    """Let nothing of any file be changed, its mode and times neither, but in `folder`, which becomes a bounded one.

    Neither Landlock nor a filter of system calls limits `chmod` and its kin by path.

    Returns:
        Whether all else is read-only. `folder` may have become a new, empty one in memory even if not.
    """
    libc = ctypes.CDLL(None)
    options = f"size={MAX_FOLDER_BYTES},nr_inodes={MAX_FOLDER_FILES},mode=700".encode()
    is_apart = (
        libc.unshare(_NEW_MOUNTS) == 0
        and libc.mount(None, b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None) == 0
        and libc.mount(b"reward", folder.encode(), b"tmpfs", ctypes.c_ulong(_NO_SUID | _NO_DEVICES), options) == 0
    )
    return is_apart and _set_attributes("/", _WHOLE_TREE, _READ_ONLY, 0) and _set_attributes(folder, 0, 0, _READ_ONLY)


def drop_privileges() -> None:
    """Give up what root may do, here and in whatever is executed: root of a namespace could undo its walls."""
    libc = ctypes.CDLL(None)
    for number in range(64):
        if not _KEPT_CAPABILITY >> number & 1 and libc.prctl(_DROP_FROM_BOUNDING_SET, number, 0, 0, 0) != 0:
            break  # the kernel knows no more, or this was never root
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    capabilities = ctypes.create_string_buffer(24)  # twice: effective, permitted, inheritable
    libc.capget(header, capabilities)
    allowed = struct.unpack("=6I", capabilities.raw)[1] & _KEPT_CAPABILITY
    libc.capset(header, struct.pack("=6I", allowed, allowed, 0, 0, 0, 0))


def _keep_identity(user: int, group: int) -> None:
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        try:  # without these it is user 65534, which is as good for all but looks
            Path("/proc/self", name).write_text(line)
        except OSError:
            break


def _set_attributes(path: str, flags: int, on: int, off: int) -> bool:
    """Change attributes of a mount, or of a whole tree of them. False before Linux 5.12, which cannot."""
    attributes = struct.pack("=4Q", on, off, 0, 0)
    call = ctypes.CDLL(None).syscall
    return bool(call(_MOUNT_SETATTR, _HERE, path.encode(), flags, attributes, ctypes.c_size_t(len(attributes))) == 0)
