"""The child that runs one person's reward: `python -I -X utf8 worker.py CHANNEL`, with the socket's number.

It imports nothing of the project. One line of JSON comes in, one goes out, over a private socket; prints go elsewhere:
1. `{"seconds", "memory_bytes", "readable", "writable"}` -> an `Isolation` of `backend.rewards.contract`, achieved now;
2. `{"name", "text", "wants_text"}` -> `{"failure": null}` once the source was run and binds `reward`;
3. `{"id", "batch"}`, as often as wanted -> `{"id", "values", "parts", "invalid", "metrics", "columns", "failure"}`.

`reward` is called as TRL calls it, by keyword, with those it takes of `prompts`, `completions`, `completion_ids`,
`trainer_state`, `log_extra`, `log_metric` and the columns; it may be `async`. What it may return for B answers:

| returned                                            | becomes                                                    |
|-----------------------------------------------------|------------------------------------------------------------|
| list, tuple, generator, array: B entries in order   | one value for each                                         |
| another number of entries                           | a failure of the whole batch                               |
| str, bytes, dict, set, None, a single number        | a failure of the whole batch                               |
| entry None                                          | no value: the reward does not apply to this answer         |
| entry int, float, Fraction, numpy or 0-d tensor     | that number                                                |
| entry {"overall": number or None, "part": number}   | that number, and its parts beside it                       |
| entry True or False, str, NaN, infinite, too large, | no value, with the reason in `invalid`; a bad part as well |
| dict without "overall", anything else               | makes its entry invalid                                    |
| any exception, `sys.exit` and Ctrl-C among them     | a failure of the whole batch; the worker goes on           |
"""

import asyncio
import faulthandler
import fcntl
import importlib.util
import inspect
import itertools
import json
import linecache
import math
import numbers
import os
import signal
import socket
import sys
import traceback
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

MAX_ANSWER_BYTES = 16 * 1024**2
MAX_TEXT = 8 * 1024  # characters of a traceback, a message or a logged text
LARGEST = 1e30  # of a value: TRL keeps them as float32, where more is infinite once weights are applied
MAX_LOGGED = 1e300  # beyond it, and where it is NaN, a logged number is kept as text
HIGH = 100  # private files get numbers from here on, out of the way of foreign code that counts from 0
OWN_PID = os.getpid()
MODULE = "own_reward"  # the name under which the source sees itself


class WrongReturnError(Exception):
    """What `reward` returned cannot be read as B values, or one entry is no number."""


class Logged:
    """What one batch logs by `log_metric` and `log_extra`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._metrics: dict[str, list[float]] = {}
        self.columns: dict[str, list[Any]] = {}

    @property
    def metrics(self) -> dict[str, float]:
        """The mean of each."""
        return {name: math.fsum(values) / len(values) for name, values in self._metrics.items()}

    def log_metric(self, name: str, value: Any) -> None:
        """Note a number. What is none is said among the prints and left out."""
        try:
            read = number(value)
        except WrongReturnError as error:
            print(f"log_metric({name!r}): {error}; left out", file=sys.stderr)  # noqa: T201 - a print of the person's
        else:
            self._metrics.setdefault(str(name), []).append(read)

    def log_extra(self, column: str, values: Iterable[Any]) -> None:
        """Note a value for each answer."""
        listed = [_plain(value) for value in values]
        if len(listed) == self._size:
            self.columns[str(column)] = listed
        else:
            said = f"log_extra({column!r}): {len(listed)} values for {self._size} answers; left out"
            print(said, file=sys.stderr)  # noqa: T201 - a print of the person's


def main(channel_number: int) -> None:
    """Answer until the parent closes the socket."""
    channel = socket.socket(fileno=fcntl.fcntl(channel_number, fcntl.F_DUPFD_CLOEXEC, HIGH))
    os.close(channel_number)
    log = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, HIGH)
    requests = channel.makefile("r", encoding="utf-8", newline="\n")
    limits = json.loads(requests.readline())
    walls = _walls()
    os.chdir(limits["writable"])
    _send(channel, walls.confine(limits["memory_bytes"], limits["readable"], limits["writable"]))
    source = json.loads(requests.readline())
    file = f"<reward:{source['name']}>"
    walls.allow_processor_time(limits["seconds"])
    _open_streams(log)
    reward, failure = _attempt(lambda: _load(source["text"], file), file)
    _send(channel, {"failure": failure})
    for line in requests:
        request = json.loads(line)
        walls.allow_processor_time(limits["seconds"])
        _open_streams(log)
        answer = _score(reward, request["batch"], file, source["wants_text"])
        with suppress(Exception):
            sys.stdout.flush()
        _send(channel, {"id": request["id"], **answer})


def _walls() -> Any:
    """Load the file beside this one; isolated Python does not look there by itself."""
    spec = importlib.util.spec_from_file_location("walls", Path(__file__).with_name("walls.py"))
    assert spec is not None  # a plain file
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _open_streams(log: int) -> None:
    """Give prints their way out anew, whatever was done to it before."""
    for number_, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(log, number_)
        stream = open(number_, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
    faulthandler.enable(log, all_threads=False)
    faulthandler.register(signal.SIGUSR1, log, all_threads=False)  # the parent asks where it hangs before it kills


def _load(text: str, file: str) -> Callable[..., Any]:
    """Run the source and take what it binds as `reward`."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)  # what this process is for
    reward = getattr(module, "reward", None)
    if not callable(reward):
        raise WrongReturnError("The source does not define `reward`" if reward is None else "`reward` is no function")
    return reward  # type: ignore[no-any-return]  # foreign code: whatever it is, it can be called


def _score(reward: Any, batch: dict[str, Any], file: str, wants_text: bool) -> dict[str, Any]:
    size = len(batch["completions"])
    logged = Logged(size)
    entries, failure = _attempt(lambda: _entries(_call(reward, batch, logged, wants_text), size), file)
    read = [_read(entry) for entry in entries or [None] * size]
    names = sorted({name for _, parts, _ in read for name in parts})
    return {
        "values": [value for value, _, _ in read], "invalid": [why for _, _, why in read] if not failure else [],
        "parts": {name: [parts.get(name) for _, parts, _ in read] for name in names},
        "metrics": logged.metrics, "columns": logged.columns, "failure": failure,
    }  # fmt: skip


def _call(reward: Any, batch: dict[str, Any], logged: Logged, wants_text: bool) -> Any:
    texts = batch["completions"]
    offered = {
        **batch["columns"],
        "prompts": batch["prompts"],
        "completions": texts if wants_text else [[{"role": "assistant", "content": text}] for text in texts],
        "completion_ids": batch["completion_ids"],
        "trainer_state": types.SimpleNamespace(global_step=batch["step"], max_steps=batch["total_steps"]),
        "log_extra": logged.log_extra,
        "log_metric": logged.log_metric,
    }
    taken = inspect.signature(reward).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        offered = {parameter.name: offered[parameter.name] for parameter in taken if parameter.name in offered}
    returned = reward(**offered)
    return asyncio.run(_awaited(returned)) if inspect.isawaitable(returned) else returned


async def _awaited(returned: Any) -> Any:
    return await returned


def _entries(returned: Any, size: int) -> list[Any]:
    if isinstance(returned, str | bytes | dict | set | frozenset) or not hasattr(returned, "__iter__"):
        raise WrongReturnError(f"`reward` returned {_kind(returned)}, not a list of {size} numbers")
    entries = list(itertools.islice(returned, size + 1))  # a generator may never end
    if len(entries) != size:
        count = f"more than {size}" if len(entries) > size else str(len(entries))
        raise WrongReturnError(f"`reward` returned {count} values for {size} answers")
    return entries


def _read(entry: Any) -> tuple[float | None, dict[str, float | None], str]:
    """Read one entry: its value, its parts, and why it is invalid."""
    try:
        if not isinstance(entry, dict):
            return (None if entry is None else number(entry)), {}, ""
        if "overall" not in entry:
            return None, {}, 'dict without "overall"'
        parts = {str(name): None if part is None else number(part) for name, part in entry.items()}
        return parts.pop("overall"), parts, ""
    except Exception as error:  # noqa: BLE001 - a foreign object may raise anything when it is asked for its number
        said = str(error) if isinstance(error, WrongReturnError) else f"{_kind(entry)} is no number: {error}"
        return None, {}, said[:MAX_TEXT]


def number(value: Any) -> float:
    """Read a finite number. Raises WrongReturnError, with the reason."""
    if not isinstance(value, bool | numbers.Real) and getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        raise WrongReturnError(f"{value} is no number; write {float(value)}")
    if not isinstance(value, numbers.Real):
        raise WrongReturnError(f"{_kind(value)} is no number")
    try:
        read = float(value)
    except OverflowError as error:
        raise WrongReturnError("the number is too large") from error
    if not math.isfinite(read):
        raise WrongReturnError(f"{read} is no number")
    if abs(read) > LARGEST:
        raise WrongReturnError("the number is too large")
    return read


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _plain(value: Any) -> Any:
    """Make a logged value JSON can hold."""
    if value is None or (isinstance(value, bool | int | float) and abs(value) <= MAX_LOGGED):
        return value
    return str(value)[:MAX_TEXT]


def _attempt(act: Callable[[], Any], file: str) -> tuple[Any, dict[str, Any] | None]:
    """Do what runs foreign code: its outcome, or a `Failure`."""
    try:
        return act(), None
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are the person's as well
        return None, _failure(error, file)


def _failure(error: BaseException, file: str) -> dict[str, Any]:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = frames[-1].lineno if frames else None
    if isinstance(error, SyntaxError) and error.filename == file:
        line = error.lineno
    with suppress(Exception):  # an exception whose text cannot be made
        told = traceback.format_exception_only(error)
        headline = next(text for text in told if not text.startswith(" ")).splitlines()[0]
        message = str(error) if isinstance(error, WrongReturnError) else headline
        shown = (
            [] if isinstance(error, WrongReturnError) else [*traceback.StackSummary.from_list(frames).format(), *told]
        )
        return {
            "kind": "exit" if isinstance(error, SystemExit) else "error", "message": message[:MAX_TEXT],
            "traceback": "".join(shown)[-MAX_TEXT:], "line": line,
        }  # fmt: skip
    return {"kind": "error", "message": _kind(error), "traceback": "", "line": line}


def _send(channel: socket.socket, answer: dict[str, Any]) -> None:
    if os.getpid() != OWN_PID:  # a child that the reward forked and forgot
        os._exit(0)
    line = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
    if len(line) > MAX_ANSWER_BYTES:
        said = f"The answer has {len(line) >> 20} MiB of parts and logged columns; {MAX_ANSWER_BYTES >> 20} are allowed"
        failure = {"kind": "error", "message": said, "traceback": "", "line": None}
        values = [None] * len(answer["values"])
        line = json.dumps({"id": answer["id"], "values": values, "failure": failure}).encode() + b"\n"
    channel.sendall(line)


if __name__ == "__main__":
    main(int(sys.argv[1]))
