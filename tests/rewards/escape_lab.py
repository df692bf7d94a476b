"""Ways out of a worker, as code that a reward runs: each must be refused, in a test alone and in a real run alike.

`VICTIM` is a process outside, `OUTSIDE` a folder that may be read, with a file `kept` and two unix sockets in it.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.rewards.sandbox.seccomp import METADATA, REFUSED

PROCESSES = {
    "its limits": "resource.prlimit(VICTIM, resource.RLIMIT_FSIZE, (0, 0))",
    "its limits, looked at": "resource.prlimit(VICTIM, resource.RLIMIT_FSIZE)",
    "its parent's limits": "resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))",
    "its priority": "os.setpriority(os.PRIO_PROCESS, VICTIM, 7)",
    "the priority of its group": "os.setpriority(os.PRIO_PGRP, VICTIM, 7)",
    "the priority of all that are its user's": "os.setpriority(os.PRIO_USER, os.getuid(), 7)",
    "the priority of all that are the user's": "os.setpriority(os.PRIO_USER, 0, 7)",
    "its cores": "os.sched_setaffinity(VICTIM, {0})",
    "its scheduler": "os.sched_setscheduler(VICTIM, os.SCHED_IDLE, os.sched_param(0))",
    "its parameters": "os.sched_setparam(VICTIM, os.sched_param(0))",
    "its share of the processor": "call('sched_setattr', VICTIM, struct.pack('=IIQiIQQQ', 48, 0, 0, 9, 0, 0, 0, 0), 0)",
    "its disk priority": "call('ioprio_set', 1, VICTIM, (3 << 13))",
    "the disk priority of all that are the user's": "call('ioprio_set', 3, os.getuid(), (3 << 13))",
    "a signal to it": "os.kill(VICTIM, 0)",
    "a signal that means it": "os.kill(VICTIM, signal.SIGWINCH)",
    "a signal by another call": "call('rt_sigqueueinfo', VICTIM, 28, ctypes.create_string_buffer(128))",
    "tracing it": "check(libc.ptrace(16, VICTIM, 0, 0))",
    "reading its memory": "check(libc.process_vm_readv(VICTIM, None, 0, None, 0, 0))",
    "writing its memory": "check(libc.process_vm_writev(VICTIM, None, 0, None, 0, 0))",
    "comparing it": "call('kcmp', os.getpid(), VICTIM, 2, 0, 0)",
    "its open files": "call('pidfd_getfd', os.pidfd_open(VICTIM), 0, 0)",
    "its environment": "Path(f'/proc/{VICTIM}/environ').read_bytes()",
    "moving its memory": "call('migrate_pages', VICTIM, 0, 0, 0)",
}
KERNEL = {
    "a unix socket by path": "socket.socket(socket.AF_UNIX).connect(f'{OUTSIDE}/stream')",
    "a unix socket by name": "socket.socket(socket.AF_UNIX).connect(NAME)",
    "datagrams by way of a pair": "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', f'{OUTSIDE}/datagrams')",
    "raw datagrams by way of a pair": "socket.socketpair(type=socket.SOCK_RAW)[0].sendto(b'x', f'{OUTSIDE}/datagrams')",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "a ring": "call('io_uring_setup', 1, ctypes.create_string_buffer(200))",
    "another user namespace": "check(libc.unshare(0x10000000))",
    "another mount namespace": "check(libc.unshare(0x20000))",
    "a child in another user namespace": "call('clone', 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0)",
    "a child in other namespaces by another call": "clone3(0x10000000)",
    "a mount": "check(libc.mount(b'none', os.getcwd().encode(), b'tmpfs', 0, None))",
    "taking a mount away": "check(libc.umount2(os.getcwd().encode(), 2))",
    "mounting again": "check(libc.mount(None, os.getcwd().encode(), None, 0x1020, None))",
    "another root": "os.chroot('.')",
    "a program in the kernel": "call('bpf', 5, ctypes.create_string_buffer(128), 128)",
    "faults of its own": "call('userfaultfd', 1)",
    "counters": "call('perf_event_open', ctypes.create_string_buffer(struct.pack('II', 1, 128), 128), 0, -1, -1, 0)",
    "the keys of the session": "call('keyctl', 0, -3, 1)",
    "a key": "call('add_key', b'user', b'x', b'x', 1, -3)",
    "the kernel's log": "check(libc.klogctl(10, None, 0))",
    "files without a folder": "os.memfd_create('x')",
    "shared memory without an owner": "check(libc.shmget(0, 4096, 0o1600))",
    "a queue without an owner": "check(libc.msgget(0, 0o1600))",
    "semaphores without an owner": "check(libc.semget(0, 1, 0o1600))",
    "calls of another machine": "call_32()",
    "calls of another ABI": "check(libc.syscall(0x40000000 + 39))",
    "hiding from who counts": "check(libc.prctl(4, 0, 0, 0, 0))",
}
FILES = {
    "its mode": "os.chmod(f'{OUTSIDE}/kept', 0o666)",
    "its mode by a handle": "os.fchmod(os.open(f'{OUTSIDE}/kept', os.O_RDONLY), 0o666)",
    "its mode from a folder": "os.chmod('kept', 0o666, dir_fd=os.open(OUTSIDE, os.O_RDONLY))",
    "its mode by the newest call": "call('fchmodat2', -100, f'{OUTSIDE}/kept'.encode(), 0o666, 0)",
    "its owner": "os.chown(f'{OUTSIDE}/kept', os.getuid(), os.getgid())",
    "its owner by a handle": "os.fchown(os.open(f'{OUTSIDE}/kept', os.O_RDONLY), os.getuid(), os.getgid())",
    "its times": "os.utime(f'{OUTSIDE}/kept', (1, 1))",
    "its times by a handle": "os.utime(os.open(f'{OUTSIDE}/kept', os.O_RDONLY), (1, 1))",
    "its attributes": "os.setxattr(f'{OUTSIDE}/kept', 'user.x', b'x')",
    "its attributes by a handle": "os.setxattr(os.open(f'{OUTSIDE}/kept', os.O_RDONLY), 'user.x', b'x')",
    "its attributes, one less": "os.removexattr(f'{OUTSIDE}/kept', 'user.old')",
    "its flags": "ioctl(os.open(f'{OUTSIDE}/kept', os.O_RDONLY), 0x40086602, bytes(8))",
    "its folder's mode": "os.chmod(OUTSIDE, 0o777)",
    "its length": "os.truncate(f'{OUTSIDE}/kept', 0)",
    "its text": "Path(OUTSIDE, 'kept').write_text('changed')",
    "its name": "os.rename(f'{OUTSIDE}/kept', f'{OUTSIDE}/lost')",
    "a link to it": "os.link(f'{OUTSIDE}/kept', 'kept')",
    "its end": "os.remove(f'{OUTSIDE}/kept')",
    "a file beside it": "Path(OUTSIDE, 'new').write_text('x')",
    "executing what it wrote": "execute_own()",
}
ESCAPES = PROCESSES | KERNEL | FILES

SURVIVORS = {
    "in a session of its own": "leave()",
    "in namespaces of its own": "leave(lambda: libc.unshare(0x10000000 | 0x40000000))",
    "that hides": "leave(lambda: libc.prctl(4, 0, 0, 0, 0))",
    "that adopts": "leave(lambda: libc.prctl(36, 1, 0, 0, 0))",
}

_CALLS = {
    **REFUSED, **METADATA, "ioprio_set": (251, 30), "sched_setattr": (314, 274), "rt_sigqueueinfo": (129, 138),
    "clone": (56, 220),
}  # fmt: skip
_PRELUDE = '''
import ctypes, json, os, resource, signal, socket, struct, subprocess, sys, time
from fcntl import ioctl
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def check(returned):
    if returned < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return returned

def call(name, *arguments):
    number = CALLS[name][os.uname().machine == "aarch64"]
    plain = [each if isinstance(each, (bytes, ctypes.Array)) else ctypes.c_long(each) for each in arguments]
    return check(libc.syscall(number, *plain))

def clone3(flags):
    arguments = struct.pack("=8Q", flags, 0, 0, 0, 17, 0, 0, 0)
    if check(libc.syscall(435, arguments, len(arguments))) == 0:
        os._exit(0)

def call_32():
    """`int 0x80`, by which x86_64 takes the numbers of i386; here `getpid`, which is harmless and never fails."""
    if os.uname().machine != "x86_64":
        raise PermissionError(1, "no such machine")
    import mmap
    code = mmap.mmap(-1, 4096, prot=7)
    code.write(bytes.fromhex("b814000000" "cd80" "4898" "c3"))  # mov eax, 20; int 0x80; cdqe; ret
    returned = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    if returned < 0:
        raise OSError(-returned, os.strerror(-returned))

def execute_own():
    os.close(os.open("program", os.O_CREAT | os.O_WRONLY, 0o755))
    Path("program").write_bytes(Path("/bin/true").read_bytes())
    subprocess.run([os.path.abspath("program")], check=True)

def leave(prepare=lambda: None):
    if os.fork() == 0:
        os.setsid()
        prepare()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", MARK], {})
        os._exit(0)
    os.wait()

def tried(code):
    """Why it was refused; empty where it was not."""
    try:
        exec(code, globals())
    except OSError as error:
        return repr(error)
    return ""
'''


def prelude(outside: "Outside", victim: int, mark: str) -> str:
    """The beginning of a source, in which the code of `ESCAPES` can be run by `tried`."""
    known = {"VICTIM": victim, "OUTSIDE": str(outside.folder), "NAME": outside.name, "MARK": mark, "CALLS": _CALLS}
    return _PRELUDE + "".join(f"{name} = {value!r}\n" for name, value in known.items())


def escaping(outside: "Outside", victim: int, mark: str = "293") -> str:
    """A reward that runs each answer as code, and logs why it was refused."""
    return prelude(outside, victim, mark) + (
        "def reward(completions: list[str], log_extra, **columns):\n"
        "    log_extra('refused', [tried(each) for each in completions])\n    return [1.0] * len(completions)\n"
    )


class Outside:
    """A folder that rewards may read, two sockets in it and one by name, and whether anything of them was touched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        (self.folder / "kept").write_text("kept")
        (self.folder / "kept").chmod(0o640)
        os.setxattr(self.folder / "kept", "user.old", b"old")
        self.name = f"\0{folder}"
        bindings = {f"{folder}/stream": socket.SOCK_STREAM, f"{folder}/datagrams": socket.SOCK_DGRAM,
                    self.name: socket.SOCK_STREAM}  # fmt: skip
        self._sockets = [self._bound(kind, address) for address, kind in bindings.items()]
        self._before = self._state()

    @property
    def is_untouched(self) -> bool:
        """Whether the files are as they were, and nobody came to a socket."""
        return self._state() == self._before and not any(self._has_come(each) for each in self._sockets)

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets:
            each.close()

    def _state(self) -> Any:
        kept = self.folder / "kept"
        names = sorted(path.name for path in self.folder.iterdir())
        stats = [path.stat() for path in (self.folder, kept)]
        told = [(seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, seen.st_ctime_ns) for seen in stats]
        return names, told, kept.read_text(), os.listxattr(kept)

    @staticmethod
    def _bound(kind: int, address: str) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, kind)
        made.bind(address)
        made.setblocking(False)
        if kind == socket.SOCK_STREAM:
            made.listen()
        return made

    @staticmethod
    def _has_come(bound: socket.socket) -> bool:
        try:
            bound.accept() if bound.type == socket.SOCK_STREAM else bound.recv(10)
        except BlockingIOError:
            return False
        return True


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    """Make one, and close its sockets afterwards."""
    made = Outside(folder)
    try:
        yield made
    finally:
        made.close()
