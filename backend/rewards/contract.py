"""What goes to a reward and what comes back; and how a spec names one with its version."""

import hashlib
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message

VERSION_SEPARATOR = "@"
Origin = Literal["library", "own"]
FailureKind = Literal["error", "exit", "timeout", "died", "protocol"]
MAX_VALUE = 1e30  # of a value, a part, a metric: the worker's own bound, which the parent does not take its word for
MAX_LOGGED = 1e300  # of a number in a logged column
FULL_ISOLATION_LEVEL = 3  # nothing is missing


class NamedVersion(NamedTuple):
    """`name` or `name@sha256`."""

    name: str
    sha256: str  # empty: as it is now

    @property
    def text(self) -> str:
        """As a spec holds it."""
        return f"{self.name}{VERSION_SEPARATOR}{self.sha256}" if self.sha256 else self.name


def named_version(text: str) -> NamedVersion:
    """Read one entry of a spec."""
    name, _, sha256 = text.partition(VERSION_SEPARATOR)
    return NamedVersion(name, sha256)


class RewardSource(NamedTuple):
    """One version of one reward."""

    name: str
    text: str  # Python that binds `reward` at top level
    origin: Origin

    @property
    def sha256(self) -> str:
        """The version: what a run records and a dry run vouches for."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class _ContractModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RewardBatch(_ContractModel):
    """B answers to score. Every list has B entries; answers to the same question stand beside each other."""

    prompts: tuple[tuple[Message, ...], ...]  # the conversation before each answer
    completions: tuple[str, ...]  # each answer's text
    completion_ids: tuple[tuple[int, ...], ...] = ()  # its tokens, where they are known
    columns: dict[str, list[Any]] = {}  # what a row has beside: `answer`, `solution`, `id`, `dataset`, `images`, ...
    step: int = 0  # of training, as `trainer_state.global_step`
    total_steps: int = 0  # as `trainer_state.max_steps`


class RewardFailure(_ContractModel):
    """Why a whole batch has no scores."""

    kind: FailureKind
    message: str  # one line: what happened, e.g. "ZeroDivisionError: division by zero"
    traceback: str = ""  # the person's own frames only
    line: int | None = None  # of the source, from 1


class Scores(_ContractModel):
    """What a reward said of B answers. A failure leaves every value None: it never turns into 0."""

    values: tuple[float | None, ...]  # None: the reward does not apply, or `invalid` says why it was not taken
    parts: dict[str, tuple[float | None, ...]] = {}  # the named parts where it returned dicts, `overall` apart
    invalid: tuple[str, ...] = ()  # for each answer why its value was not taken, e.g. "nan is no number"; else ""
    metrics: dict[str, float] = {}  # what it logged by `log_metric`, averaged over the batch
    columns: dict[str, list[Any]] = {}  # what it logged by `log_extra`
    printed: str = ""  # what it wrote to stdout and stderr, cut
    seconds: float = 0.0
    failure: RewardFailure | None = None

    @property
    def first_error(self) -> str:
        """One of the mistakes in a line; empty where there is none."""
        if self.failure:
            return f"{self.failure.message}{f' (line {self.failure.line})' if self.failure.line else ''}"
        return next((why for why in self.invalid if why), "")

    @property
    def error_count(self) -> int:
        """How many answers have no value by mistake rather than by the reward's own None."""
        return len(self.values) if self.failure else sum(bool(why) for why in self.invalid)


class Isolation(_ContractModel):
    """What the worker on this machine is kept from; probed when it starts, and shown."""

    limits: bool  # L0: memory, processor time, files, totals of all it starts, secrets, own session
    network: bool  # L1: no address can be reached, not even this machine's own
    files: bool  # L2: reads only what Python and the images need, changes only its own folder
    processes: bool = False  # L3: neither touches another process nor leaves one behind
    calls: bool = False  # L3: system calls that no reward needs are refused: sockets, io_uring, new namespaces, ...

    @property
    def level(self) -> int:
        """0 to `FULL_ISOLATION_LEVEL`: the highest layer below which none is missing."""
        layers = (self.limits, self.network, self.files, self.processes and self.calls)
        return max(0, next((number for number, stands in enumerate(layers) if not stands), len(layers)) - 1)
