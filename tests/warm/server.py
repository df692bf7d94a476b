"""`python -m tests.warm.server SOCKET`: imports the training stack once, then forks for each program that asks.

It has one thread and no state but imports, so a fork is as a fresh process would be after them. It ends with its
standard input, whose other end pytest holds; a fork ends with its proxy, and at the latest with the server.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import random
import resource
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

STACK = ("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes", "deepspeed.launcher.launch")
STARTED = ("__main__", "reward_dry_run", "demo_model")  # run by name: imported already, they would run a second time
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
HARMLESS = "jemalloc_bg_thd"  # of pyarrow's allocator, which starts it anew in a fork


class Server:
    """Clients by their channel, and the fork that runs for each."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._ready = selectors.DefaultSelector()
        self._ready.register(sys.stdin, selectors.EVENT_READ)
        self._ready.register(self._listener, selectors.EVENT_READ)
        self._forks: dict[socket.socket, tuple[int, int]] = {}  # channel -> (pid, pidfd)
        self._is_warm = False

    def serve(self) -> dict[str, Any]:
        """Answer until pytest ends. Returns in a fork alone, with what it shall run."""
        while True:
            for key, _ in self._ready.select():
                if key.fileobj is sys.stdin:
                    self._end()
                elif key.fileobj is self._listener:
                    request = self._accept()
                    if request is not None:
                        return request
                elif key.data is not None:
                    self._report_end(key.data)
                elif key.fileobj in self._forks:
                    os.kill(self._forks[key.fileobj][0], signal.SIGKILL)  # its proxy is gone
                    self._ready.unregister(key.fileobj)

    def _accept(self) -> dict[str, Any] | None:
        channel, _ = self._listener.accept()
        head, fds, _, _ = socket.recv_fds(channel, 8, 64)
        if not self._is_warm:
            warm_up()
            self._is_warm = True
        if not head:  # somebody who only wanted it warm
            channel.close()
            return None
        request: dict[str, Any] = json.loads(channel.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            self._close()
            place(fds, request["fds"])
            return request
        for fd in fds:
            os.close(fd)
        channel.sendall(pid.to_bytes(8, "big"))
        watch = os.pidfd_open(pid)
        self._forks[channel] = (pid, watch)
        self._ready.register(channel, selectors.EVENT_READ)
        self._ready.register(watch, selectors.EVENT_READ, channel)
        return None

    def _report_end(self, channel: socket.socket) -> None:
        pid, watch = self._forks.pop(channel)
        _, status = os.waitpid(pid, 0)
        self._ready.unregister(watch)
        os.close(watch)
        if channel in self._ready.get_map():
            self._ready.unregister(channel)
        with contextlib.suppress(OSError):  # its proxy was killed
            channel.sendall(status.to_bytes(8, "big"))
        channel.close()

    def _close(self) -> None:
        self._ready.close()
        self._listener.close()
        for channel, (_, watch) in self._forks.items():
            channel.close()
            os.close(watch)

    def _end(self) -> None:
        for pid, _ in self._forks.values():
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def warm_up() -> None:
    """Import what programs import. Nothing of it may have started a thread: a fork would not have it."""
    import backend.programs

    for name in STACK:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(backend.programs.__path__, "backend.programs."):
        if module.name.rpartition(".")[2] not in STARTED:
            importlib.import_module(module.name)
    threads = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()} - {HARMLESS}
    assert len(threads) == 1, f"threads after the imports: {threads}"
    gc.collect()
    gc.freeze()


def place(received: list[int], numbers: list[int]) -> None:
    """Put each descriptor where the proxy had it."""
    high = [os.dup2(fd, 512 + place) for place, fd in enumerate(received)]
    for fd in received:
        os.close(fd)
    for fd, number in zip(high, numbers, strict=True):
        os.dup2(fd, number)
        os.close(fd)


def become(request: dict[str, Any]) -> None:
    """Take over the proxy's folder, environment and limits; a fork keeps nothing of the server's own but imports."""
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    for name, limit in request["limits"].items():
        resource.setrlimit(getattr(resource, name), tuple(limit))
    sys.path[:] = [request["cwd"], *request["path"]]
    sys.argv[:] = ["-m", *request["program"][1:]]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)
    random.seed()
    sys.modules["numpy"].random.seed()
    if "OMP_NUM_THREADS" in os.environ:
        sys.modules["torch"].set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


if __name__ == "__main__":
    request = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    become(request)
    runpy.run_module(request["program"][0], run_name="__main__", alter_sys=True)
