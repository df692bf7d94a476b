"""Talk to models: one inference program per base model, kept warm, ended when it is idle or a run needs its GPU."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from backend.catalog.checkpoints import Checkpoint, resolve_checkpoint
from backend.catalog.models import CATALOGUE
from backend.chat_protocol import Ask, Piece
from backend.conversation import Message
from backend.datasets.turns import CONTROL_TOKENS
from backend.errors import CheckpointError, LaunchError, StudioError
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.sampling import ChatSettings
from backend.store.queue import Holder
from launcher.chat_process import ChatDevice, ChatProgram, reserve_device
from launcher.devices import CPU
from launcher.run_manager import RunManager

MOST_PROGRAMS = 3
WATCH_INTERVAL_S = 2.0  # between two looks at who is idle, and whether a run waits

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to continue; its last turn is the user's."""

    checkpoint: str  # as `resolve_checkpoint` takes it
    messages: tuple[Message, ...]
    images: tuple[Path, ...]  # checked local files, one for each `<image>` in the messages
    settings: ChatSettings = field(default_factory=ChatSettings)

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages as the model reads them, the system's first where there is one."""
        if not self.settings.system:
            return self.messages
        rest = tuple(message for message in self.messages if message.role != "system")
        return (Message(role="system", content=self.settings.system), *rest)


@dataclass(frozen=True, slots=True)
class ChatTarget:
    """Something to talk to."""

    reference: str
    label: str


class ChatPool:
    """Answers requests from any number of threads; holds at most three base models in memory."""

    def __init__(self, launcher: RunManager) -> None:
        """Start nothing yet.

        Args:
            launcher: knows the machine's devices, and who holds them.
        """
        self._launcher = launcher
        self._programs: dict[Path, ChatProgram] = {}
        self._lock = threading.Lock()
        self._of_ended: dict[str, list[ChatTarget]] = {}  # by run
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def ask(self, request: ChatRequest) -> Iterator[Piece]:
        """Stream an answer; closing the iterator stops it.

        Raises:
            NotFoundError, CheckpointError: the checkpoint cannot be used.
            LaunchError: the program died or hangs, or every GPU is held.
        """
        _refuse_special(request.turns)
        checkpoint = resolve_checkpoint(request.checkpoint, self._workspace)
        program = self._reserved(checkpoint, request)
        try:
            yield from program.ask(_request_line(request, self._workspace))
        finally:
            program.leave()

    def choices(self) -> list[ChatTarget]:
        """What can be talked to: models on this machine, then runs, newest first, each with its checkpoints."""
        targets = [ChatTarget(model.name, model.title) for model in CATALOGUE.values() if self._is_here(model.name)]
        there = sorted((entry.name for entry in os.scandir(self._workspace.output) if entry.is_dir()), reverse=True)
        self._of_ended = {run_id: self._of_ended[run_id] for run_id in there if run_id in self._of_ended}
        for run_id in there:
            remembered = self._of_ended.get(run_id)
            with suppress(OSError):  # a folder that may not be read offers nothing, and hides no other
                targets += (
                    self._choices_of(RunFolder(self._workspace.output / run_id)) if remembered is None else remembered
                )
        return targets

    def _choices_of(self, folder: RunFolder) -> list[ChatTarget]:
        """What can be talked to of one run; where it has ended, looked up once: there may be a thousand."""
        is_over, is_run = folder.exit.is_file(), folder.spec.is_file()
        final = [ChatTarget(folder.run_id, str(folder.run_id))] if is_run and folder.has_final_model else []
        newest_first = reversed(folder.checkpoints()) if is_run else ()
        targets = final + [
            ChatTarget(f"{folder.run_id}/{path.name}", f"{folder.run_id} · {path.name}") for path in newest_first
        ]
        if is_over:
            self._of_ended[folder.run_id] = targets
        return targets

    def close(self) -> None:
        """End every program, and start the runs that waited for its GPU; no program is started any more."""
        self._closed.set()
        with self._lock:
            freed = {program.seat.device for program in self._programs.values()} - {CPU}
            self._end(list(self._programs))
        try:
            if freed and freed & self._launcher.runs.wanted_devices(self._device_names()):
                self._launcher.schedule(judges=False)
        except (OSError, SQLAlchemyError, StudioError):
            _log.exception("the runs that waited for a chat's end could not be started; whoever looks next does it")

    def end_idle(self) -> bool:
        """End the programs that nobody has asked for a while or whose GPU a run waits for; forget the broken ones.

        Returns:
            Whether a run may start now on what became free.
        """
        awaited = self._awaited_devices()
        with self._lock:
            quiet = [base for base, program in self._programs.items() if not program.is_busy]
            freeing = [base for base in quiet if self._programs[base].seat.device in awaited]
            self._end([base for base in quiet if base in freeing or not self._programs[base].is_fresh])
        return bool(freeing)

    @property
    def _workspace(self) -> Workspace:
        return self._launcher.workspace

    def _awaited_devices(self) -> set[str]:
        """The devices that runs wait for and only chats hold."""
        runs = self._launcher.runs
        by_runs = {lease.device for lease in runs.leases() if lease.run_id}
        return runs.wanted_devices(self._device_names()) - by_runs if self._programs else set()

    def _device_names(self) -> tuple[str, ...]:
        return tuple(device.name for device in self._launcher.devices)

    def _is_here(self, name: str) -> bool:
        try:
            resolve_checkpoint(name, self._workspace)
        except StudioError:
            return False
        return True

    def _reserved(self, checkpoint: Checkpoint, request: ChatRequest) -> ChatProgram:
        """The program of the checkpoint's base model, which nobody ends before it is left."""
        base = checkpoint.base_folder
        with self._lock:
            if self._closed.is_set():
                raise LaunchError("The studio is ending", hint="Start it again, then ask")
            if base in self._programs and not self._programs[base].is_usable:
                self._end([base])
            if base not in self._programs:
                self._programs[base] = self._start(base, request)
            self._programs[base].reserve()
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="chats", daemon=True)
                self._watcher.start()
            return self._programs[base]

    def _start(self, base: Path, request: ChatRequest) -> ChatProgram:
        runs, seat = self._launcher.runs, self._seat(request)
        program: ChatProgram | None = None
        try:
            self._free_a_program()
            program = ChatProgram(base, seat)
            identity = program.identity  # from now on its end frees the device, whoever dies before
            if identity is None or not runs.hand_over(seat.holder, Holder(*identity)):
                raise LaunchError("The chat program ended as it started", hint="Free some memory, then ask again")
        except BaseException as error:
            if program is not None:
                program.end()
            runs.release(seat.holder)
            if isinstance(error, OSError):
                raise LaunchError(f"The chat program cannot be started: {error}", hint="Free some memory") from error
            raise
        return program

    def _seat(self, request: ChatRequest) -> ChatDevice:
        """A device for one more program; models that nobody is talking to make way, the longest quiet first."""
        while True:
            try:
                return reserve_device(
                    self._launcher.runs,
                    self._device_names(),
                    request.checkpoint,
                    beside_runs=request.settings.beside_runs,
                )
            except LaunchError:
                runs = self._launcher.runs
                lost = {lease.device for lease in runs.leases() if lease.run_id} | {CPU}
                lost |= runs.wanted_devices(self._device_names())  # ending a chat frees none of these for another
                quiet = [base for base in self._quiet() if self._programs[base].seat.device not in lost]
                if not quiet:
                    raise
                self._end(quiet[:1])

    def _free_a_program(self) -> None:
        """End the program that has been quiet the longest, unless all of them are answering."""
        if len(self._programs) < MOST_PROGRAMS:
            return
        quiet = self._quiet()
        if not quiet:
            raise LaunchError(
                f"{MOST_PROGRAMS} base models are answering already", hint="Wait for one of them, or press Stop"
            )
        self._end(quiet[:1])

    def _quiet(self) -> list[Path]:
        """The bases that nobody is talking to, the longest quiet first."""
        quiet = [base for base, program in self._programs.items() if not program.is_busy]
        return sorted(quiet, key=lambda base: self._programs[base].last_used)

    def _end(self, bases: list[Path]) -> None:
        """End programs within the lock: nobody may ask for one, or for its device, in between."""
        for base in bases:
            program = self._programs.pop(base)
            program.end()
            with suppress(SQLAlchemyError, StudioError):  # a locked index: whoever reconciles next sees that it is gone
                self._launcher.runs.release(program.seat.holder)

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_INTERVAL_S):
            try:
                if self.end_idle():
                    self._launcher.schedule()
            except Exception:  # noqa: BLE001 - a locked index now says nothing about two seconds later
                _log.exception("looking after the chats failed; trying again")


def _request_line(request: ChatRequest, workspace: Workspace) -> Ask:
    return Ask(
        id=0,
        workspace=str(workspace.root),
        checkpoint=request.checkpoint,
        messages=request.turns,
        images=tuple(str(image) for image in request.images),
        sampling=request.settings.sampling,
    )


def _refuse_special(messages: tuple[Message, ...]) -> None:
    """Text that spells a control token would be read as one."""
    for message in messages:
        token = CONTROL_TOKENS.search(message.content)
        if token:
            raise CheckpointError(
                f"The text contains `{token[0]}`, which the model reads as a control token", hint="Leave it out"
            )
