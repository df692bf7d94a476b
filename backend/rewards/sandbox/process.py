"""One running worker, seen from outside: lines to and fro in time, its prints, its end with all that it started.

Nothing it does is trusted: it may hang, die, flood, lie, or leave children in sessions of their own.
"""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from backend.errors import LaunchError
from backend.rewards.contract import FailureKind
from backend.settings import child_environment

MAX_LINE_BYTES = 17 * 1024**2  # more than the worker's own bound, with room for what is around the answer
MAX_PRINTED_BYTES = 8 * 1024  # kept of what one batch prints
MARKER_VARIABLE = "STUDIO_REWARD_WORKER"
POLL_S = 0.1  # how often the worker is looked at while it says nothing
DUMP_WAIT_S = 0.2  # for a hanging worker to say where it hangs, for a dead one to be reaped
EXIT_S = 3.0  # how long a worker that closed its connection may take to end: a busy machine is slow
MAX_REASON_BYTES = 1024
DUMP_POLLS = 20
MAX_SWEEPS = 50
MAX_DUMP_BYTES = 16 * 1024
_CHUNK = 1 << 16
_PROC = Path("/proc")
# What Python's `faulthandler` writes, innermost frame first.
_DUMP = re.compile(
    rb"(?:Fatal Python error: [^\n]{0,200}\n\n)?(?:Current thread 0x[0-9a-f]{1,16}[^\n]{0,64}|Stack) "
    rb"\(most recent call first\):\n(?:  [^\n]*\n)+(?:\nExtension modules: [^\n]*\n)?"
)
_LINE = re.compile(r", line (\d+)")


class RewardWorkerLostError(Exception):
    """The worker hangs, died or broke the protocol; it can only be ended."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


class PrintedOutput(NamedTuple):
    """What a worker wrote to stdout and stderr."""

    text: str  # cut
    traceback: str  # where it crashed or hung, the person's own frames only; empty without
    line: int | None  # of the innermost of them


class WorkerProcess:
    """A started worker. One caller at a time; `end` must be called.

    Args of the constructor: the program to run, which speaks the protocol of `worker`, and variables that mark it for
    whoever sweeps up after a run.

    Raises:
        LaunchError: no process can be started.
    """

    def __init__(self, program: Path, marks: Mapping[str, str]) -> None:
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="studio-reward-")).resolve()
            self._log, log = os.pipe()
            self._channel, channel = socket.socketpair()
            self._life, life = socket.socketpair()  # its supervisor ends everything once ours is closed
        except OSError as error:
            raise _start_error(error) from error
        self._mark = f"{MARKER_VARIABLE}={uuid.uuid4().hex}"
        self._network: int | None = None  # its own, held open so that no other gets its number
        self._reason = b""  # why its supervisor ended it
        self._printed, self._printed_bytes = bytearray(), 0
        self._window, self._dump = b"", b""  # the end of what was printed, and the crash or hang that was dumped there
        try:
            self._process = subprocess.Popen(
                (sys.executable, "-I", "-X", "utf8", str(program), str(channel.fileno())),
                cwd=self.folder,
                env=self._environment(marks),
                stdin=life.fileno(),
                stdout=log,
                stderr=log,
                pass_fds=(channel.fileno(),),
                start_new_session=True,
            )
        except OSError as error:
            self._release()
            raise _start_error(error) from error
        finally:
            channel.close()
            life.close()
            os.close(log)
        self._channel.setblocking(False)
        self._life.setblocking(False)
        os.set_blocking(self._log, False)

    def exchange(self, message: bytes, seconds: float) -> bytes:
        """Send one line and wait for the one line that answers it.

        Raises:
            RewardWorkerLostError: no whole line within `seconds`, more than one, one too long, or the worker died.
        """
        deadline, unsent, answer = time.monotonic() + seconds, memoryview(message), bytearray()
        while b"\n" not in answer:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                self._request_dump()
                raise RewardWorkerLostError("timeout", f"No answer within {seconds:g} s")
            self._wait(min(remaining_s, POLL_S), is_sending=bool(unsent))
            self._drain()
            is_dead = self._process.poll() is not None  # before the last look: what it said is in the socket by then
            unsent = unsent[self._send(unsent) :]
            chunk = self._receive()
            answer += chunk or b""
            if chunk == b"" or (is_dead and chunk is None):
                raise RewardWorkerLostError("died", self._exit_reason())
            if len(answer) > MAX_LINE_BYTES:
                raise RewardWorkerLostError(
                    "protocol", f"The worker's answer is longer than {MAX_LINE_BYTES >> 20} MiB"
                )
        if not answer.endswith(b"\n") or answer.count(b"\n") > 1:
            raise RewardWorkerLostError("protocol", "The worker said more than its answer")
        return bytes(answer)

    def note_network(self) -> None:
        """Remember the worker's own network, so that children without the mark are found by it. Before foreign code."""
        with suppress(OSError):
            network = os.open(_PROC / str(self._process.pid) / "ns/net", os.O_RDONLY)
            if os.path.samestat(os.fstat(network), (_PROC / "self/ns/net").stat()):
                os.close(network)
            else:
                self._network = network

    def take_printed(self) -> PrintedOutput:
        """What it printed since the last call."""
        self._drain()
        more, dump = self._printed_bytes - len(self._printed), self._dump
        text = self._printed.replace(dump, b"").decode("utf-8", "replace")
        frames = [line for line in dump.decode("utf-8", "replace").splitlines() if 'File "<reward:' in line]
        line_match = _LINE.search(frames[0]) if frames else None
        self._printed, self._printed_bytes, self._window, self._dump = bytearray(), 0, b"", b""
        return PrintedOutput(
            text + (f"\n... and {more:,} bytes more" if more else ""),
            "\n".join(reversed(frames)),
            int(line_match[1]) if line_match else None,
        )

    def end(self) -> None:
        """Kill it and every process it started, and remove its folder."""
        with suppress(OSError):  # it may be gone
            self._life.shutdown(socket.SHUT_WR)
        self._channel.close()
        self._wait_for_exit()
        for _ in range(MAX_SWEEPS):
            descendants = [
                int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit() and self._is_ours(entry)
            ]
            for pid in descendants:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if not descendants:
                break
            time.sleep(0.01)
        self._process.kill()
        self._process.wait()
        self._release()

    def _environment(self, marks: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in child_environment().items() if name in ("PATH", "LANG", "LC_ALL")}
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        own_folder = dict.fromkeys(("HOME", "TMPDIR"), str(self.folder))
        name, _, value = self._mark.partition("=")
        return {**inherited, **one_thread, **own_folder, **marks, name: value}

    def _wait(self, seconds: float, *, is_sending: bool) -> None:
        ready = select.poll()
        ready.register(self._channel, select.POLLIN | (select.POLLOUT if is_sending else 0))
        ready.register(self._log, select.POLLIN)
        ready.poll(seconds * 1000)

    def _send(self, unsent: memoryview) -> int:
        try:
            return self._channel.send(unsent) if unsent else 0
        except (BlockingIOError, ConnectionError):  # a worker that is gone shows when its answer is read
            return 0

    def _receive(self) -> bytes | None:
        """Read what is there: None where nothing is, b"" where the other end is closed."""
        try:
            return self._channel.recv(_CHUNK * 16)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""

    def _drain(self) -> None:
        """Empty the pipe of prints, so that printing never blocks; at most a few MiB, so that it never takes over."""
        for _ in range(64):
            try:
                chunk = os.read(self._log, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                return
            self._printed += chunk[: MAX_PRINTED_BYTES - len(self._printed)]
            self._printed_bytes += len(chunk)
            self._window += chunk
            dumped = _DUMP.findall(self._window)
            self._dump = dumped[-1] if dumped else self._dump
            self._window = self._window[-MAX_DUMP_BYTES:]

    def _request_dump(self) -> None:
        """Let a worker that hangs print where it is."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGUSR1)
        for _ in range(DUMP_POLLS):
            time.sleep(DUMP_WAIT_S / DUMP_POLLS)
            self._drain()
            if self._dump:
                break

    def _exit_reason(self) -> str:
        if not self._wait_for_exit():
            return "The worker closed its connection"
        if self._reason:
            return self._reason.decode("utf-8", "replace")
        code = self._process.wait()
        if code >= 0:
            return f"The worker ended with exit code {code}"
        why = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
        return f"The worker was killed by {_signal_name(-code)}{why}"

    def _wait_for_exit(self) -> bool:
        """Wait for the process' end: its standard input closes with it. Keeps the reason it gives."""
        deadline, ready = time.monotonic() + EXIT_S, select.poll()
        ready.register(self._life, select.POLLIN)
        while ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            with suppress(ConnectionError):
                if chunk := self._life.recv(MAX_REASON_BYTES):
                    self._reason += chunk
                    continue
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(EXIT_S)
                return True
            return False
        return False

    def _is_ours(self, process: Path) -> bool:
        """Whether that folder of /proc belongs to a living process which carries the mark or uses our network."""
        try:
            if self._mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                return True
            network = (process / "ns/net").stat()
        except OSError:
            return False
        return self._network is not None and os.path.samestat(os.fstat(self._network), network)

    def _release(self) -> None:
        self._channel.close()
        self._life.close()
        os.close(self._log)
        if self._network is not None:
            os.close(self._network)
        shutil.rmtree(self.folder, ignore_errors=True)


def _signal_name(number: int) -> str:
    """What a signal is called; those of real-time programs have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _start_error(error: OSError) -> LaunchError:
    hint = "Free memory, processes or disk space, then try again"
    return LaunchError(f"The reward worker cannot be started: {error.strerror}", hint=hint)
