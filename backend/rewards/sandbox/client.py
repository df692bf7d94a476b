"""Score answers by a person's reward, whatever that reward does: it runs in the limited worker, never here."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.errors import LaunchError, SpecError
from backend.rewards.contract import (
    FULL_ISOLATION_LEVEL,
    MAX_LOGGED,
    MAX_VALUE,
    Isolation,
    RewardBatch,
    RewardFailure,
    RewardSource,
    Scores,
)
from backend.rewards.lint import wants_text
from backend.rewards.sandbox.process import RewardWorkerLostError, WorkerProcess
from backend.settings import requires_sandbox

SECURITY_STATEMENT = (
    "A reward function is your own Python code. It runs as your user in a separate process with time, memory, file and "
    "(where the kernel allows) network limits. The limits protect the training run from mistakes; they are not a wall "
    "against someone who wants to attack this machine. Do not let people you do not trust edit rewards."
)
WORKER = Path(__file__).with_name("worker.py")
START_S = 60.0  # for the process itself, on a busy machine
LOAD_S = 30.0  # at least, for the source to import what it needs
_NO_MARKER: Mapping[str, str] = MappingProxyType({})
_Line = TypeVar("_Line", bound=BaseModel)


class WorkerLimits(NamedTuple):
    """What a worker may use."""

    seconds: float = 30.0  # of wall time for one batch
    memory_bytes: int = 8 * 1024**3  # of address space
    readable: tuple[Path, ...] = ()  # folders it may read, such as the images


def _bounded(value: bool | float | str | None) -> bool | float | str | None:
    if isinstance(value, int | float) and not abs(value) <= MAX_LOGGED:
        raise ValueError("a logged number is too large")
    return value


_Number = Annotated[float, Field(ge=-MAX_VALUE, le=MAX_VALUE)]
_LoggedValue = Annotated[bool | int | float | str | None, AfterValidator(_bounded)]


class _WorkerReply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _LoadReply(_WorkerReply):
    failure: RewardFailure | None


class _ScoresReply(_WorkerReply):
    id: int
    values: tuple[_Number | None, ...]
    failure: RewardFailure | None
    parts: dict[str, tuple[_Number | None, ...]] = {}
    invalid: tuple[str, ...] = ()
    metrics: dict[str, _Number] = {}
    columns: dict[str, list[_LoggedValue]] = {}

    def fits(self, number: int, size: int) -> bool:
        """Whether it answers batch `number` with one of everything for each of `size` answers."""
        counts = [self.values, *self.parts.values(), *self.columns.values(), *([self.invalid] if self.invalid else [])]
        is_whole = all(len(each) == size for each in counts)
        return is_whole and self.id == number and not (self.failure and any(value is not None for value in self.values))

    def as_scores(self, printed: str, seconds: float) -> Scores:
        """Put what the worker cannot say of itself to it."""
        fields = self.model_dump(exclude={"id", "failure"})
        return Scores(**fields, failure=self.failure, printed=printed, seconds=seconds)


class RewardWorker:
    """Scores batches by one reward. Starts its process when first needed, and a fresh one after each that was lost.

    One caller at a time. Close it, or use it in a `with` statement.

    Args of the constructor: the reward, what it may use, variables that mark the process for whoever sweeps up after a
    run, and the program to run, which speaks the protocol of `worker`.
    """

    def __init__(
        self,
        source: RewardSource,
        limits: WorkerLimits = WorkerLimits(),  # noqa: B008 - immutable
        *,
        marker: Mapping[str, str] = _NO_MARKER,
        program: Path = WORKER,
    ) -> None:
        self._source, self._limits, self._marker, self._program = source, limits, marker, program
        self._process: WorkerProcess | None = None
        self._isolation: Isolation | None = None
        self._is_loaded = False
        self._batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def limits(self) -> WorkerLimits:
        """What it may use."""
        return self._limits

    @property
    def isolation(self) -> Isolation:
        """What the process is kept from on this machine; starts it, without running the source.

        Raises:
            LaunchError: no process can be started.
            SpecError: less is achieved than `STUDIO_REQUIRE_SANDBOX` asks for.
        """
        if self._isolation is None:
            self._start()
        assert self._isolation is not None
        return self._isolation

    def score(self, batch: RewardBatch) -> Scores:
        """Score one batch. Whatever the reward does becomes a `RewardFailure`; the next batch is scored afresh.

        Raises:
            LaunchError: no process can be started.
            SpecError: less is achieved than `STUDIO_REQUIRE_SANDBOX` asks for.
        """
        process = self._process or self._start()
        started = time.monotonic()
        size = len(batch.completions)
        try:
            failure = None if self._is_loaded else self._load(process)
            started = time.monotonic()
            answer = None if failure else self._request_scores(process, batch)
        except RewardWorkerLostError as lost:
            answer, failure = None, RewardFailure(kind=lost.kind, message=lost.message)
        seconds = time.monotonic() - started
        printed = process.take_printed()
        if answer is not None:
            return answer.as_scores(printed.text, seconds)
        self.close()
        if failure and failure.kind in ("timeout", "died"):
            failure = failure.model_copy(update={"line": printed.line, "traceback": printed.traceback})
        return Scores(values=(None,) * size, failure=failure, printed=printed.text, seconds=seconds)

    def close(self) -> None:
        """End the process and all it started. The next batch starts another."""
        process, self._process, self._is_loaded = self._process, None, False
        if process is not None:
            process.end()

    def _start(self) -> WorkerProcess:
        self._process = process = WorkerProcess(self._program, self._marker)
        limits = {
            "seconds": self._limits.seconds,
            "memory_bytes": self._limits.memory_bytes,
            "readable": [str(folder) for folder in self._limits.readable],
            "writable": str(process.folder),
        }
        try:
            isolation = _parsed(Isolation, process.exchange(_line(limits), START_S))
        except RewardWorkerLostError as lost:
            printed = process.take_printed().text
            self.close()
            raise LaunchError(
                f"The reward worker does not start: {lost.message}",
                hint=printed.strip()[-500:] or "Run `studio doctor`",
            ) from lost
        if isolation.network:
            process.note_network()
        if requires_sandbox() and isolation.level < FULL_ISOLATION_LEVEL:
            self.close()
            raise SpecError(
                f"Rewards may not run here: {describe_isolation(isolation)}",
                hint="Allow user namespaces, Landlock and seccomp on this host, or unset `STUDIO_REQUIRE_SANDBOX`",
            )
        self._isolation = isolation
        return process

    def _load(self, process: WorkerProcess) -> RewardFailure | None:
        source = {"name": self._source.name, "text": self._source.text, "wants_text": wants_text(self._source.text)}
        seconds = max(self._limits.seconds, LOAD_S)
        failure = _parsed(_LoadReply, process.exchange(_line(source), seconds)).failure
        self._is_loaded = failure is None
        return failure

    def _request_scores(self, process: WorkerProcess, batch: RewardBatch) -> _ScoresReply:
        self._batches += 1
        request = {"id": self._batches, "batch": batch.model_dump(mode="json")}
        answer = _parsed(_ScoresReply, process.exchange(_line(request), self._limits.seconds))
        if not answer.fits(self._batches, len(batch.completions)):
            raise RewardWorkerLostError("protocol", "The worker's answer is not one to this batch")
        return answer


def describe_isolation(isolation: Isolation) -> str:
    """Say what rewards are kept from, for a person."""
    layers = [
        "memory, time, files limited" if isolation.limits else "memory and files: not limited on this host",
        "no network" if isolation.network else "network: not blocked on this host",
        "reads only Python and the images" if isolation.files else "files: not protected on this host",
        "no other processes" if isolation.processes else "other processes: not protected on this host",
        "needless system calls refused" if isolation.calls else "system calls: not filtered on this host",
    ]
    return " · ".join(layers)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _parsed(model: type[_Line], line: bytes) -> _Line:
    try:
        return model.model_validate_json(line, strict=True)
    except ValidationError as error:
        raise RewardWorkerLostError(
            "protocol", f"The worker's answer cannot be read: {error.errors()[0]['msg']}"
        ) from error
