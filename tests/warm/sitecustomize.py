"""Python imports this at each start: a program that the warm server has imported already is forked there instead."""

import os
import sys

PROGRAMS = ("backend.programs.", "deepspeed.launcher.launch", "tests.programs.training.train_many")


def _program() -> list[str] | None:
    """The module and arguments behind `-m`, where the warm server runs such a module."""
    words = sys.orig_argv
    if "-m" not in words[1:4]:
        return None
    at = words.index("-m", 1) + 1
    return words[at:] if words[at].startswith(PROGRAMS) else None


def _hand_over(program: list[str]) -> None:
    """Let the server run it. Returns only where there is no server."""
    import json
    import resource
    import signal
    import socket

    channel = socket.socket(socket.AF_UNIX)
    try:
        channel.connect(os.path.join(os.path.dirname(__file__), "socket"))
    except OSError:
        return
    names = (int(name) for name in os.listdir("/proc/self/fd"))
    inherited = [fd for fd in sorted(names) if fd <= 2 or _is_inheritable(fd)]
    limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
    mask = os.umask(0)
    os.umask(mask)
    request = {"program": program, "fds": inherited, "cwd": os.getcwd(), "environ": dict(os.environ), "umask": mask,
               "limits": limits, "path": [path for path in sys.path if path != os.path.dirname(__file__)]}  # fmt: skip
    content = json.dumps(request).encode("utf-8", "surrogateescape")
    socket.send_fds(channel, [len(content).to_bytes(8, "big")], inherited)
    channel.sendall(content)
    child = int.from_bytes(channel.recv(8, socket.MSG_WAITALL), "big")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: os.kill(child, number))
    status = channel.recv(8, socket.MSG_WAITALL)
    code = os.waitstatus_to_exitcode(int.from_bytes(status, "big")) if len(status) == 8 else -signal.SIGKILL
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(code)


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # the descriptor by which the folder was listed
        return False


if (_words := _program()) is not None:
    _hand_over(_words)
