"""Talk to models: one inference program per base model, kept warm, ended when it is idle."""

import itertools
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

from pydantic import Field, TypeAdapter, ValidationError

from backend.catalog.checkpoints import Checkpoint, resolve_checkpoint
from backend.catalog.models import CATALOGUE
from backend.chat_protocol import Ask, Failure, Line, Piece, Ready, Stop
from backend.conversation import Message
from backend.datasets.checks import CONTROL_TOKENS
from backend.errors import CheckpointError, LaunchError, StudioError
from backend.runs.folder import RunFolder
from backend.settings import ROOT, Workspace, child_environment

MOST_PROGRAMS = 3
IDLE_S = 900.0
LOAD_TIMEOUT_S = 900.0  # a large model from a slow disk
ANSWER_TIMEOUT_S = 300.0  # between two pieces


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation to continue; its last turn is the user's."""

    checkpoint: str  # as `resolve_checkpoint` takes it
    messages: tuple[Message, ...]
    images: tuple[Path, ...]  # checked local files, one for each `<image>` in the messages
    seed: int = 0
    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    system: str = ""  # instead of what the messages or the model would say first

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages as the model reads them, the system's first where there is one."""
        if not self.system:
            return self.messages
        said = tuple(message for message in self.messages if message.role != "system")
        return (Message(role="system", content=self.system), *said)


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to talk to."""

    reference: str
    label: str


_ANSWERS: TypeAdapter[Ready | Piece | Failure] = TypeAdapter(
    Annotated[Ready | Piece | Failure, Field(discriminator="kind")]
)
_Line = Piece | Failure | None


class ChatPool:
    """Answers questions from any number of threads; holds at most three base models in memory."""

    def __init__(self, workspace: Workspace) -> None:
        """Start nothing yet."""
        self._workspace = workspace
        self._programs: dict[Path, _Program] = {}
        self._lock = threading.Lock()

    def ask(self, question: Question) -> Iterator[Piece]:
        """Stream an answer; closing the iterator stops it.

        Raises:
            NotFoundError, CheckpointError: the checkpoint cannot be used.
            LaunchError: the program died or hangs.
        """
        _refuse_special(question.turns)
        checkpoint = resolve_checkpoint(question.checkpoint, self._workspace)
        program = self._program(checkpoint)
        yield from program.ask(question, self._workspace)

    def choices(self) -> list[Choice]:
        """What can be talked to: models on this machine, then runs, newest first, each with its checkpoints."""
        found = [Choice(model.name, model.title) for model in CATALOGUE.values() if self._is_here(model.name)]
        runs = [RunFolder(path) for path in self._workspace.output.glob("*") if (path / "spec.json").is_file()]
        for folder in sorted(runs, key=lambda folder: folder.run_id, reverse=True):
            if folder.has_final_model:
                found.append(Choice(folder.run_id, str(folder.run_id)))
            found += [
                Choice(f"{folder.run_id}/{path.name}", f"{folder.run_id} · {path.name}")
                for path in reversed(folder.checkpoints())
            ]
        return found

    def close(self) -> None:
        """End every program."""
        with self._lock:
            programs, self._programs = list(self._programs.values()), {}
        for program in programs:
            program.end()

    def end_idle(self) -> None:
        """End the programs nobody has asked for a while, and forget the dead."""
        with self._lock:
            leaving = {base for base, program in self._programs.items() if program.is_idle or not program.is_alive}
            programs = [self._programs.pop(base) for base in leaving]
        for program in programs:
            program.end()

    def _is_here(self, name: str) -> bool:
        try:
            resolve_checkpoint(name, self._workspace)
        except StudioError:
            return False
        return True

    def _program(self, checkpoint: Checkpoint) -> "_Program":
        self.end_idle()
        with self._lock:
            program = self._programs.get(checkpoint.base_folder)
            if program is None:
                self._make_room()
                program = _Program(checkpoint.base_folder)
                self._programs[checkpoint.base_folder] = program
            return program

    def _make_room(self) -> None:
        """End the program that has been quiet the longest, unless all of them are answering."""
        if len(self._programs) < MOST_PROGRAMS:
            return
        quiet = {base: program for base, program in self._programs.items() if not program.is_busy}
        if not quiet:
            raise LaunchError(
                f"{MOST_PROGRAMS} base models are answering already", hint="Wait for one of them, or press Stop"
            )
        oldest = min(quiet, key=lambda base: quiet[base].last_used)
        self._programs.pop(oldest).end()


class _Program:
    """One inference process and the answers that wait for it."""

    def __init__(self, base_folder: Path) -> None:
        self.last_used = time.monotonic()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.Queue[_Line]] = {}
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._failure: Failure | None = None
        environment = child_environment() | {
            "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backend.inference", str(base_folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def is_busy(self) -> bool:
        return bool(self._waiting)

    @property
    def is_idle(self) -> bool:
        return not self.is_busy and time.monotonic() - self.last_used > IDLE_S

    def ask(self, question: Question, workspace: Workspace) -> Iterator[Piece]:
        number, lines = next(self._numbers), queue.Queue[_Line]()
        self._waiting[number] = lines
        finished = False
        try:
            self._wait_until_ready()
            self._send(_ask_line(number, question, workspace))
            while not finished:
                line = _next_line(lines)
                if isinstance(line, Failure):
                    finished = True
                    raise CheckpointError(line.message, hint=line.hint)
                finished = line.is_last
                yield line
        finally:
            self._waiting.pop(number, None)
            self.last_used = time.monotonic()
            if not finished and self.is_alive:
                self._send(Stop(id=number))

    def end(self) -> None:
        """Close its stdin, which ends it; kill it where it does not listen."""
        self._close_stdin()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close_stdin(self) -> None:
        with self._lock, suppress(OSError):  # a dead reader leaves the last bytes unsent
            if self._process.stdin:
                self._process.stdin.close()

    def _wait_until_ready(self) -> None:
        if not self._ready.wait(LOAD_TIMEOUT_S) or self._failure is not None or not self.is_alive:
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
            elif line.id in self._waiting:
                self._waiting[line.id].put(line)
            elif isinstance(line, Failure):
                self._failure = line
        if stdout:
            stdout.close()
        self._process.wait()
        self._close_stdin()
        self._ready.set()
        for lines in list(self._waiting.values()):
            lines.put(None)


def _next_line(lines: "queue.Queue[_Line]") -> Piece | Failure:
    try:
        line = lines.get(timeout=ANSWER_TIMEOUT_S)
    except queue.Empty as error:
        raise LaunchError("The model has not answered for minutes", hint="Press Stop, then ask again") from error
    if line is None:
        raise LaunchError("The chat program ended while it was answering", hint="Ask again: it is started anew")
    return line


def _ask_line(number: int, question: Question, workspace: Workspace) -> Ask:
    return Ask(
        id=number,
        workspace=str(workspace.root),
        checkpoint=question.checkpoint,
        messages=question.turns,
        images=tuple(str(image) for image in question.images),
        seed=question.seed,
        max_new_tokens=question.max_new_tokens,
        temperature=question.temperature,
        top_p=question.top_p,
        repetition_penalty=question.repetition_penalty,
    )


def _refuse_special(messages: tuple[Message, ...]) -> None:
    """Text that spells a control token would be read as one."""
    for message in messages:
        token = CONTROL_TOKENS.search(message.content)
        if token:
            raise CheckpointError(
                f"The text contains `{token[0]}`, which the model reads as a control token", hint="Leave it out"
            )
