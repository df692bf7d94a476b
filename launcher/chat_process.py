"""One inference process: where it may sit, lines of JSON to and fro, and the answers that wait for it."""

import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from backend.chat_protocol import Ask, Failure, Line, Piece, Ready, Stop
from backend.errors import CheckpointError, LaunchError
from backend.store.queue import Holder, Lease
from backend.store.runs import RunStore
from launcher.commands import program_environment
from launcher.devices import CPU
from launcher.processes import Identity, identify

_NUMBERS = itertools.count(1)
IDLE_S = 900.0
LOAD_TIMEOUT_S = 900.0  # a large model from a slow disk
ANSWER_TIMEOUT_S = 300.0  # between two pieces
END_S = 3.0  # to obey
_ANSWERS: TypeAdapter[Ready | Piece | Failure] = TypeAdapter(
    Annotated[Ready | Piece | Failure, Field(discriminator="kind")]
)
_Line = Piece | Failure | None


@dataclass(frozen=True, slots=True)
class ChatDevice:
    """A device that a chat holds."""

    holder: str
    device: str
    environment: dict[str, str] = field(default_factory=dict)  # so that the program sees this device only


def reserve_device(runs: RunStore, devices: tuple[str, ...], label: str, *, beside_runs: bool) -> ChatDevice:
    """Hold the first device that is free; on a CPU there is always room, and no run waits for a chat.

    Args:
        runs: the index that knows who holds what.
        devices: of this machine, in the order in which they are given out.
        label: what is talked to.
        beside_runs: take the first GPU all the same where every one is held.

    Raises:
        LaunchError: every GPU is held, and it says by whom; or none is known just now.
    """
    if not devices:
        raise LaunchError("The GPU driver does not answer", hint="Ask again in a minute; `nvidia-smi` tells more")
    holder = f"chat-{os.getpid()}-{next(_NUMBERS)}"
    starter = identify(os.getpid()) or Identity(os.getpid(), 0, "")
    for is_beside in (False, True) if beside_runs else (False,):
        for device in devices:
            lease = Lease(device, holder, None, label, device != CPU, Holder(*starter), time.time())
            if runs.hold_for_chat(lease, devices, beside_runs=is_beside):
                return ChatDevice(holder, device, _visible(device))
    holders = [f"{lease.device} by {lease.holder_label}" for lease in runs.leases() if lease.keeps_out]
    raise LaunchError(
        f"Every GPU is held: {', '.join(holders)}" if holders else "A run waits for every GPU that is free",
        hint="Wait for its end, stop it, or let the model answer beside it (memory may not suffice for both)",
    )


class ChatProgram:
    """One base model in memory. Whoever asks reserves it first, so that nobody ends it in between."""

    def __init__(self, base_folder: Path, seat: ChatDevice) -> None:
        """Start the process on the device of `seat`. Raises OSError where that cannot be done."""
        self.seat = seat
        self.last_used = time.monotonic()
        self._users = 0
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.Queue[_Line]] = {}
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._ready = threading.Event()
        self._failure: Failure | None = None
        self._is_hung = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backend.programs.inference", str(base_folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=program_environment() | seat.environment,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    @property
    def identity(self) -> Identity | None:
        """Who it is, as long as it lives."""
        return identify(self._process.pid)

    @property
    def is_usable(self) -> bool:
        """Whether the process still runs, and answers in time."""
        return self._process.poll() is None and not self._is_hung

    @property
    def is_busy(self) -> bool:
        """Whether somebody asks, or is about to."""
        return self._users > 0

    @property
    def is_fresh(self) -> bool:
        """Whether it is worth keeping: it works, and somebody asked not long ago."""
        return self.is_usable and time.monotonic() - self.last_used <= IDLE_S

    def reserve(self) -> None:
        """Announce a question: it is busy from now on. Each call is followed by one of `ask`, read to its end."""
        with self._counting:
            self._users += 1

    def ask(self, request: Ask) -> Iterator[Piece]:
        """Stream an answer; closing the iterator stops it.

        Args:
            request: the question; its number is given here.

        Raises:
            CheckpointError: it cannot be answered.
            LaunchError: the process died or hangs.
        """
        number, lines = next(self._numbers), queue.Queue[_Line]()
        self._waiting[number] = lines
        finished = False
        try:
            self._wait_until_ready()
            self._send(request.model_copy(update={"id": number}))
            while not finished:
                line = self._next_line(lines)
                if isinstance(line, Failure):
                    finished = True
                    raise CheckpointError(line.message, hint=line.hint)
                finished = line.is_last
                yield line
        finally:
            self._waiting.pop(number, None)
            self.last_used = time.monotonic()
            if not finished:
                with suppress(LaunchError):
                    self._send(Stop(id=number))

    def leave(self) -> None:
        """Take back one `reserve`."""
        with self._counting:
            self._users -= 1

    def end(self) -> None:
        """Close its stdin, which ends it; kill it where it does not listen."""
        if self._is_hung or not self._close_stdin():
            self._process.kill()
        try:
            self._process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close_stdin(self) -> bool:
        """Tell whether it could be closed: somebody may be stuck writing to a process that reads no more."""
        if not self._lock.acquire(timeout=END_S):
            return False
        try:
            with suppress(OSError):  # a dead reader leaves the last bytes unsent
                if self._process.stdin:
                    self._process.stdin.close()
        finally:
            self._lock.release()
        return True

    def _wait_until_ready(self) -> None:
        if not self._ready.wait(LOAD_TIMEOUT_S) or self._failure is not None or not self.is_usable:
            message = self._failure.message if self._failure else "The model could not be loaded for chat"
            raise LaunchError(
                message, hint=(self._failure and self._failure.hint) or "Free some memory, then ask again"
            )

    def _send(self, line: Line) -> None:
        with self._lock:
            try:
                self._write(line.model_dump_json().encode() + b"\n")
            except OSError as error:
                raise LaunchError("The chat program has ended", hint="Ask again: it is started anew") from error

    def _write(self, raw: bytes) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            raise BrokenPipeError
        self._process.stdin.write(raw)
        self._process.stdin.flush()

    def _listen(self, stdout: IO[bytes] | None) -> None:
        for raw in stdout or ():
            try:
                line = _ANSWERS.validate_json(raw)
            except ValidationError:
                continue
            if isinstance(line, Ready):
                self._ready.set()
            elif (waiting := self._waiting.get(line.id)) is not None:
                waiting.put(line)
            elif isinstance(line, Failure):
                self._failure = line
        if stdout:
            stdout.close()
        self._process.wait()
        self._close_stdin()
        self._ready.set()
        for lines in list(self._waiting.values()):
            lines.put(None)

    def _next_line(self, lines: "queue.Queue[_Line]") -> Piece | Failure:
        try:
            line = lines.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty as error:
            self._is_hung = True
            raise LaunchError("The model has not answered for minutes", hint="Ask again: it is started anew") from error
        if line is None:
            raise LaunchError("The chat program ended while it was answering", hint="Ask again: it is started anew")
        return line


def _visible(device: str) -> dict[str, str]:
    if device == CPU:
        return {}
    return {"CUDA_VISIBLE_DEVICES": device.removeprefix("cuda:"), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
