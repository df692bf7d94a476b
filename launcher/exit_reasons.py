"""How a run ended, in words: the evidence against one table of causes, the surest first.

Exit codes alone lie. DeepSpeed's launcher turns a rank killed by signal 9 into exit code 247, and ends with 0 when its
own second process is killed. So a run has finished only when the program itself said so, and then exited with 0.
"""

import os
import re
import signal
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.runs.folder import StopMode, TerminalState
from backend.spec.run import RunSpec

_GPU_MEMORY = re.compile(r"torch\.(cuda\.)?OutOfMemoryError|CUDA out of memory|CUDA error: out of memory")
_DISK_FULL = re.compile(r"No space left on device|ENOSPC|\[Errno 28\]|[Dd]isk quota exceeded")
_ERROR_LINE = re.compile(
    r"^(?:\[rank\d+\]:\s*)?((?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b.*)$"
)
_HINT_LINE = re.compile(r"^(?:\[rank\d+\]:\s*)?hint: (.+)$")
_READ_LOG = "Read the end of its log"
_MAX_QUOTE = 500  # characters of a quoted line
_NO_SPACE_BYTES = 1 << 16  # less than this is a full disk


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a keeper has seen of a run."""

    status: int | None  # as os.waitpid gives it; None where nothing was started
    end: dict[str, Any] | None = None  # values of the program's `end` event
    error: dict[str, Any] = field(default_factory=dict)  # values of its last note of level `error`
    stop_mode: StopMode | None = None  # what the person asked for
    log_tail: str = ""
    oom_kills: int = 0  # how many processes the kernel killed for memory while it ran
    was_hung: bool = False  # it had to be ended after its `end` event
    start_error: str = ""  # why nothing was started
    disk_free_bytes: int | None = None  # at the end; a log that lies on a full disk cannot say so itself


class ExitReason(NamedTuple):
    """What is proposed as the run's end."""

    state: TerminalState
    reason: str  # empty where all went well
    hint: str = ""


_FULL = ExitReason(
    "failed", "The disk is full", "Free some space, for example by deleting old runs, and start it again"
)


def judge(evidence: Evidence, spec: RunSpec) -> ExitReason:
    """Name the run's end. `spec` is read for the knobs that hints speak of."""
    if evidence.status is None:
        return ExitReason(
            "failed", f"It could not be started: {evidence.start_error}", "Correct that and start it again"
        )
    code = os.waitstatus_to_exitcode(evidence.status)
    outcome = (evidence.end or {}).get("outcome")
    if outcome == "finished" and evidence.was_hung:
        return ExitReason("finished", "It finished, but its processes did not end by themselves and were ended")
    if outcome == "finished" and code == 0:
        return ExitReason("finished", "")
    if evidence.stop_mode is not None or outcome == "stopped":
        return _stopped(evidence)
    number = signal_of(code)
    return (
        _from_log(evidence, spec)
        or _from_signal(number, evidence, spec)
        or _from_disk(evidence)
        or _from_exit(code, evidence)
    )


def signal_of(code: int) -> signal.Signals | None:
    """Name the signal behind an exit code: -9, 137 (a shell's way) and 247 (DeepSpeed's way) are all SIGKILL."""
    number = -code if code < 0 else code - 128 if 128 < code < 192 else 256 - code if 192 <= code < 256 else 0
    try:
        return signal.Signals(number)
    except ValueError:
        return None


def last_error(log_tail: str) -> tuple[str, str]:
    """Find the last error line of a log, and the hint behind it; both empty where there is none."""
    error_line, hint = "", ""
    for line in log_tail.splitlines():
        error, advice = _ERROR_LINE.match(line), _HINT_LINE.match(line)
        if error:
            error_line, hint = error[1][:_MAX_QUOTE], ""
        elif advice and error_line:
            hint = advice[1][:_MAX_QUOTE]
    return error_line, hint


def _stopped(evidence: Evidence) -> ExitReason:
    if evidence.stop_mode is None:
        return ExitReason("stopped", "It stopped by itself")
    if evidence.stop_mode == "now":
        return ExitReason("stopped", "It was stopped on request, without saving")
    if evidence.end is None:
        return ExitReason("stopped", "It was stopped before it could save a final model")
    saved = evidence.end.get("saved", True)
    return ExitReason("stopped", "It was stopped on request, after saving" if saved else "It was stopped on request")


def _from_log(evidence: Evidence, spec: RunSpec) -> ExitReason | None:
    if _GPU_MEMORY.search(evidence.log_tail):
        return ExitReason("failed", "The GPU ran out of memory", _less_memory(spec))
    return _FULL if _DISK_FULL.search(evidence.log_tail) else None


def _from_disk(evidence: Evidence) -> ExitReason | None:
    is_full = evidence.disk_free_bytes is not None and evidence.disk_free_bytes < _NO_SPACE_BYTES
    return _FULL if is_full else None


def _from_signal(number: signal.Signals | None, evidence: Evidence, spec: RunSpec) -> ExitReason | None:
    if number == signal.SIGKILL and evidence.oom_kills:
        reason = "The machine ran out of memory, and the kernel killed a process of the run (SIGKILL)"
        return ExitReason("failed", reason, _less_memory(spec))
    if number == signal.SIGKILL:
        reason = "A process of the run was killed (SIGKILL); the kernel has no record of running out of memory"
        return ExitReason("failed", reason, "Ask who killed it: a person, a batch system or a container limit may have")
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL):
        reason = f"A process of the run crashed inside compiled code ({number.name})"
        return ExitReason("failed", reason, f"{_READ_LOG}; a driver that does not fit torch is a frequent cause")
    if number == signal.SIGABRT:
        reason = "A process of the run gave up (SIGABRT), often because the GPUs waited for each other too long"
        return ExitReason("failed", reason, f"{_READ_LOG} for `NCCL` or `terminate called`")
    if number is not None:
        return ExitReason(
            "failed", f"A process of the run was ended by {number.name}", "Ask who ended it, then start it again"
        )
    return None


def _from_exit(code: int, evidence: Evidence) -> ExitReason:
    if code == 0 and evidence.end is None:
        reason = "Its launcher reported success, but the program never said that it finished"
        return ExitReason("failed", reason, f"{_READ_LOG}: a process was probably killed from outside")
    noted, advice = str(evidence.error.get("text", "")), str(evidence.error.get("hint", ""))
    error_line, hint = (noted, advice) if noted else last_error(evidence.log_tail)
    if (evidence.end or {}).get("outcome") == "finished":
        reason = f"It finished its work, but then ended with exit code {code}" + (
            f": {error_line}" if error_line else ""
        )
        return ExitReason("failed", reason, "Its final model is whole and can be used; read the end of its log")
    if noted:
        return ExitReason("failed", noted, advice)
    reason = f"It ended with exit code {code} before it was done" + (f": {error_line}" if error_line else "")
    return ExitReason("failed", reason, hint or _READ_LOG)


def _less_memory(spec: RunSpec) -> str:
    """The knob that frees most memory at the least cost for this spec."""
    batch = spec.batching.batch_size
    if batch > 1:
        steps = spec.batching.accumulation_steps * 2
        return (
            f"Lower Batch size from {batch} to {batch // 2} and raise Accumulation to {steps}: the result is the same"
        )
    if not spec.batching.gradient_checkpointing:
        return "Switch on Gradient checkpointing"
    pixels = spec.model.max_pixels // 2
    return f"Lower Largest image from {spec.model.max_pixels:,} to {pixels:,} px, or Longest sample"
