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
import errno
import faulthandler
import fcntl
import importlib.util
import inspect
import json
import linecache
import os
import signal
import socket
import sys
import traceback
import types
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

MAX_ANSWER_BYTES = 16 * 1024**2
FIRST_PRIVATE_FD = 100  # private files get numbers from here on, out of the way of foreign code that counts from 0
MODULE = "own_reward"  # the name under which the source sees itself


def _beside(name: str) -> Any:
    """Load a file that lies beside this one; isolated Python does not look there by itself."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None  # a plain file
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


return_values = _beside("return_values")
rlimits = _beside("rlimits")


def main(channel_number: int) -> None:
    """Answer until the parent closes the socket."""
    channel = socket.socket(fileno=fcntl.fcntl(channel_number, fcntl.F_DUPFD_CLOEXEC, FIRST_PRIVATE_FD))
    os.close(channel_number)
    requests = channel.makefile("r", encoding="utf-8", newline="\n")
    limits = json.loads(requests.readline())
    isolation = _confine(limits, channel.fileno())
    send = partial(_send, channel, os.getpid())
    send(_json(isolation))
    log = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, FIRST_PRIVATE_FD)
    source = json.loads(requests.readline())
    file = f"<reward:{source['name']}>"
    rlimits.allow_processor_time(limits["seconds"])
    _reopen_streams(log)
    reward, failure = _attempt(lambda: _load(source["text"], file), file)
    send(_json({"failure": failure}))
    for line in requests:
        request = json.loads(line)
        rlimits.allow_processor_time(limits["seconds"])
        _reopen_streams(log)
        send(_answer(reward, request, file, source["wants_text"]))


def _confine(limits: dict[str, Any], channel: int) -> dict[str, bool]:
    """Put up every wall the kernel grants, for good; the process that returns is the one for foreign code.

    Each is tried, and only what is achieved is told: an `Isolation` of `backend.rewards.contract`.
    """
    namespaces, supervisor, landlock, seccomp = map(_beside, ("namespaces", "supervisor", "landlock", "seccomp"))
    folder, memory_bytes = limits["writable"], limits["memory_bytes"]
    own = namespaces.separate()
    most = namespaces.MAX_FOLDER_BYTES, namespaces.MAX_FOLDER_FILES
    supervisor.fork_worker(supervisor.TotalLimits(folder, memory_bytes, *most), [channel])
    is_read_only = namespaces.protect_files(folder)
    os.chdir(folder)
    is_limited = rlimits.limit(memory_bytes, has_own_user=own.user)
    namespaces.drop_privileges()
    files = landlock.restrict(limits["readable"], folder)
    is_filtered = seccomp.install(with_metadata=not is_read_only)
    return {
        "limits": is_limited and supervisor.can_count(),
        "network": own.network or is_filtered,
        "files": files.opening and (is_read_only or (files.truncating and is_filtered)),
        "processes": own.processes or (files.signals and is_filtered),
        "calls": is_filtered,
    }


def _reopen_streams(log: int) -> None:
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
        message = "The source does not define `reward`" if reward is None else "`reward` is no function"
        raise return_values.WrongReturnError(message)
    return reward  # type: ignore[no-any-return]  # foreign code: whatever it is, it can be called


def _answer(reward: Any, request: dict[str, Any], file: str, wants_text: bool) -> str:
    """Score one batch: the line that answers it, whatever foreign objects do while they are read."""
    batch, number = request["batch"], request["id"]
    line, failure = _attempt(lambda: _line(number, _score(reward, batch, file, wants_text)), file)
    with suppress(BaseException):  # `sys.stdout` may be foreign by now
        sys.stdout.flush()
    return line if failure is None else _line(number, _failed(failure, len(batch["completions"])))


def _score(reward: Any, batch: dict[str, Any], file: str, wants_text: bool) -> dict[str, Any]:
    size = len(batch["completions"])
    logged = return_values.BatchLog(size)
    entries, failure = _attempt(lambda: return_values.entries_of(_call(reward, batch, logged, wants_text), size), file)
    read = [return_values.read(entry) for entry in entries or [None] * size]
    names = sorted({name for _, parts, _ in read for name in parts})
    return {
        "values": [value for value, _, _ in read],
        "invalid": [why for _, _, why in read] if not failure else [],
        "parts": {name: [parts.get(name) for _, parts, _ in read] for name in names},
        "metrics": logged.metrics,
        "columns": logged.columns,
        "failure": failure,
    }


def _failed(failure: dict[str, Any], size: int) -> dict[str, Any]:
    return {"values": [None] * size, "failure": failure}


def _line(number: int, answer: dict[str, Any]) -> str:
    line = _json({"id": number, **answer})
    length = len(line.encode("utf-8", "replace"))
    if length <= MAX_ANSWER_BYTES:
        return line
    message = f"The answer has {length >> 20} MiB of parts and logged columns; {MAX_ANSWER_BYTES >> 20} are allowed"
    failure = {"kind": "error", "message": message, "traceback": "", "line": None}
    return _json({"id": number, **_failed(failure, len(answer["values"]))})


def _json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False, allow_nan=False)


def _call(reward: Any, batch: dict[str, Any], logged: Any, wants_text: bool) -> Any:
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


def _attempt(act: Callable[[], Any], file: str) -> tuple[Any, dict[str, Any] | None]:
    """Do what runs foreign code: its outcome, or a `RewardFailure`."""
    try:
        return act(), None
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are the person's as well
        return None, _failure(error, file)


def _failure(error: BaseException, file: str) -> dict[str, Any]:
    kind = "exit" if isinstance(error, SystemExit) else "error"
    try:
        message, stack, line = _explain(error, file)
    except BaseException:  # noqa: BLE001 - an exception of which nothing can be told
        message, stack, line = return_values.kind(error), "", None
    longest = return_values.MAX_TEXT
    return {"kind": kind, "message": message[:longest], "traceback": stack[-longest:], "line": line}


def _explain(error: BaseException, file: str) -> tuple[str, str, int | None]:
    """Tell of an error: its headline, the person's own frames, the line of the last of them."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = frames[-1].lineno if frames else None
    if isinstance(error, SyntaxError) and error.filename == file:
        line = error.lineno
    line = line if type(line) is int else None
    if isinstance(error, return_values.WrongReturnError):
        return return_values.text_of(error), "", line
    headlines = [return_values.exact(text) for text in traceback.format_exception_only(error)]
    headline = next(text for text in headlines if not text.startswith(" ")).splitlines()[0]
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        headline += " (the folder of a reward holds no more)"
    return headline, "".join([*traceback.StackSummary.from_list(frames).format(), *headlines]), line


def _send(channel: socket.socket, worker: int, line: str) -> None:
    if os.getpid() != worker:  # a child that the reward forked and forgot
        os._exit(0)
    channel.sendall(line.encode("utf-8", "replace") + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
