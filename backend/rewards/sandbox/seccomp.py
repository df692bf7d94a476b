"""A filter of system calls: those that reach past the worker and that no reward needs are refused by the kernel.

Loaded by `worker` in the child, so nothing but the standard library is imported; the filter is written out by hand, so
that no compiler and no library is needed. It sees numbers only, never what a pointer leads to: calls that take a path
or an address are refused whole or not at all.
Source: https://docs.kernel.org/userspace-api/seccomp_filter.html, numbers from `asm/unistd_64.h` and
`asm-generic/unistd.h`.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Numbers = tuple[int | None, int | None]  # on x86_64, on aarch64; None where there is no such call
# Not at all, whatever the arguments.
REFUSED: Mapping[str, Numbers] = {
    # other namespaces and other mounts: a way out of its own
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467), "open_by_handle_at": (304, 265),
    # into other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "move_pages": (279, 239), "migrate_pages": (256, 238),
    # other users of the kernel: rings that make calls past this filter, programs in it, its keys and its log
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "syslog": (103, 116), "fanotify_init": (300, 262),
    # sockets: `connect` and `sendto` cannot be told a unix socket's path from another
    "socket": (41, 198), "connect": (42, 203),
    # memory that belongs to no process and no folder, so that nobody would count it
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180),
}  # fmt: skip
# Where the files outside are not mounted read-only: modes, owners, times and attributes of all files, its own too.
METADATA: Mapping[str, Numbers] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_CLONE3: Numbers = (435, 435)  # takes its flags by a pointer; "no such call" makes the C library use `clone`
_NEW_NAMESPACES = 0x7E020000
_SET_FLAGS, _SET_ATTRIBUTES = 0x40086602, 0x401C5820  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
_SET_DUMPABLE = 4
_STREAM = 1
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # as the kernel names it, its place in `Numbers`
_X32 = 0x40000000  # numbers from here on are those of another ABI of x86_64
_LOAD, _AND, _IS, _IS_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # opcodes of `linux/bpf_common.h`
_NUMBER_AT, _MACHINE_AT, _ARGUMENTS_AT = 0, 4, 16  # in `struct seccomp_data`
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _GET_SECCOMP, _FILTER = 38, 22, 21, 2
_Instruction = tuple[int, int, int, int]  # opcode, instructions to skip if so, if not so, operand


class Check(NamedTuple):
    """What an argument must be: its lower 32 bits under `mask` equal `value`; anything but that without `is_equal`."""

    argument: int  # from 0
    value: int
    mask: int = 0xFFFFFFFF
    is_equal: bool = True


class Rule(NamedTuple):
    """One system call that is allowed only where every check holds; without checks never."""

    numbers: Numbers
    checks: tuple[Check, ...] = ()
    error: int = errno.EPERM


# Only about the calling process itself, which goes by 0.
_OF_OTHERS = (
    Rule((302, 261), (Check(0, 0),)),  # prlimit64
    Rule((203, 122), (Check(0, 0),)),  # sched_setaffinity
    Rule((144, 119), (Check(0, 0),)),  # sched_setscheduler
    Rule((142, 118), (Check(0, 0),)),  # sched_setparam
    Rule((314, 274), (Check(0, 0),)),  # sched_setattr
    Rule((141, 140), (Check(0, 0), Check(1, 0))),  # setpriority: of a process, not of all that are the user's
    Rule((251, 30), (Check(0, 1), Check(1, 0))),  # ioprio_set: the same
)
_OF_ITSELF = (
    Rule((56, 220), (Check(0, 0, mask=_NEW_NAMESPACES),)),  # clone
    Rule(_CLONE3, error=errno.ENOSYS),
    Rule((53, 199), (Check(1, _STREAM, mask=0xF),)),  # socketpair: one of datagrams could still be sent anywhere
    Rule((157, 167), (Check(0, _SET_DUMPABLE, is_equal=False),)),  # prctl: hide from the supervisor
)
_FLAGS_OF_FILES = (
    Rule((16, 29), (Check(1, _SET_FLAGS, is_equal=False), Check(1, _SET_ATTRIBUTES, is_equal=False))),  # ioctl
)


def install(*, with_metadata: bool) -> bool:
    """Refuse them to this process and all it starts, for good.

    Args:
        with_metadata: whether changes of files' metadata are refused as well.

    Returns:
        Whether the kernel took it.
    """
    names = {**REFUSED, **METADATA} if with_metadata else REFUSED
    rules = [Rule(numbers) for numbers in names.values()]
    return load([*rules, *_OF_OTHERS, *_OF_ITSELF, *(_FLAGS_OF_FILES if with_metadata else ())])


def load(rules: Iterable[Rule]) -> bool:
    """Hand a filter of these rules to the kernel. Calls of another machine's numbers are refused whole."""
    machine = os.uname().machine
    if machine not in _MACHINES or struct.calcsize("P") != 8:
        return False
    program = _program(rules, *_MACHINES[machine])
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    control = ctypes.CDLL(None).prctl
    control(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return bool(control(_SET_SECCOMP, _FILTER, header, 0, 0) == 0 and control(_GET_SECCOMP, 0, 0, 0, 0) == _FILTER)


def _program(rules: Iterable[Rule], machine: int, place: int) -> list[_Instruction]:
    refuse = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    program = [
        (_LOAD, 0, 0, _MACHINE_AT), (_IS, 1, 0, machine), refuse,
        (_LOAD, 0, 0, _NUMBER_AT), (_IS_AT_LEAST, 0, 1, _X32), refuse,
    ]  # fmt: skip
    for rule in rules:
        number = rule.numbers[place]
        if number is not None:
            body = _rule_body(rule)
            program += [(_IS, 0, len(body), number), *body]
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _rule_body(rule: Rule) -> list[_Instruction]:
    refuse, body = (_RETURN, 0, 0, _FAIL | rule.error), []
    for argument, value, mask, is_equal in rule.checks:
        body += [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), (_AND, 0, 0, mask),
                 (_IS, int(is_equal), int(not is_equal), value), refuse]  # fmt: skip
    return [*body, (_RETURN, 0, 0, _ALLOW)] if body else [refuse]
