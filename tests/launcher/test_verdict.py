"""P7, P8, D4: which words an end gets."""

import signal

import pytest

from backend.spec.run import RunSpec
from launcher.exit_reasons import Evidence, ExitReason, judge, last_error, signal_of

SPEC = RunSpec()
DONE = {"outcome": "finished"}


def exited(code: int) -> int:
    return code << 8


@pytest.mark.parametrize(
    ("evidence", "state", "reason"),
    [
        (Evidence(exited(0), end=DONE), "finished", ""),
        (Evidence(exited(0), end=DONE, stop_mode="save"), "finished", ""),
        (Evidence(signal.SIGKILL, end=DONE, was_hung=True), "finished", "did not end by themselves"),
        (Evidence(exited(1), end=DONE), "failed", "finished its work, but then ended with exit code 1"),
        (Evidence(exited(0)), "failed", "never said that it finished"),
        (Evidence(exited(0), end={"outcome": "stopped"}, stop_mode="save"), "stopped", "after saving"),
        (Evidence(exited(1), stop_mode="save"), "stopped", "before it could save"),
        (Evidence(signal.SIGKILL, stop_mode="now"), "stopped", "without saving"),
        (Evidence(exited(1)), "failed", "exit code 1 before it was done"),
        (Evidence(exited(137)), "failed", "killed (SIGKILL); the kernel has no record"),
        (Evidence(exited(247)), "failed", "killed (SIGKILL); the kernel has no record"),
        (Evidence(signal.SIGKILL), "failed", "killed (SIGKILL); the kernel has no record"),
        (Evidence(exited(247), oom_kills=1), "failed", "The machine ran out of memory"),
        (Evidence(exited(139)), "failed", "crashed inside compiled code (SIGSEGV)"),
        (Evidence(exited(245)), "failed", "crashed inside compiled code (SIGSEGV)"),
        (Evidence(exited(249)), "failed", "crashed inside compiled code (SIGBUS)"),
        (Evidence(exited(134)), "failed", "gave up (SIGABRT)"),
        (Evidence(exited(250)), "failed", "gave up (SIGABRT)"),
        (Evidence(signal.SIGINT), "failed", "ended by SIGINT"),
        (
            Evidence(exited(1), log_tail="torch.OutOfMemoryError: CUDA out of memory. Tried"),
            "failed",
            "The GPU ran out",
        ),
        (Evidence(exited(1), log_tail="OSError: [Errno 28] No space left on device"), "failed", "The disk is full"),
        (Evidence(exited(1), log_tail="x\nValueError: a shape\nlater"), "failed", "done: ValueError: a shape"),
        (Evidence(None, start_error="no such file"), "failed", "could not be started: no such file"),
    ],
)
def test_p7_each_kind_of_end_gets_its_own_words(evidence: Evidence, state: str, reason: str) -> None:
    verdict = judge(evidence, SPEC)

    assert verdict.state == state
    assert reason in verdict.reason
    assert bool(verdict.hint) == (state == "failed")


def test_p8_a_kill_is_called_out_of_memory_only_where_the_kernel_recorded_one() -> None:
    without = judge(Evidence(exited(247)), SPEC)
    with_record = judge(Evidence(exited(247), oom_kills=2), SPEC)

    assert "memory, and the kernel killed" not in without.reason
    assert "memory, and the kernel killed" in with_record.reason


def test_d4_running_out_of_gpu_memory_names_the_knob_to_lower() -> None:
    evidence = Evidence(exited(1), log_tail="torch.OutOfMemoryError: CUDA out of memory")
    one_by_one = SPEC.with_values({"batching.batch_size": 1})
    checkpointed = one_by_one.with_values({"batching.gradient_checkpointing": True})

    assert "Batch size from 8 to 4 and raise Accumulation to 2" in judge(evidence, SPEC).hint
    assert judge(evidence, one_by_one).hint == "Switch on Gradient checkpointing"
    assert "Largest image from 451,584 to 225,792 px" in judge(evidence, checkpointed).hint


def test_what_the_program_itself_said_is_the_reason() -> None:
    evidence = Evidence(
        exited(3), error={"text": "`cats` has no rows", "hint": "Import it again"}, log_tail="StudioError: x"
    )

    assert judge(evidence, SPEC) == ExitReason("failed", "`cats` has no rows", "Import it again")


def test_the_last_error_of_a_log_comes_with_its_hint() -> None:
    log = "KeyError: 'a'\n[rank0]: backend.errors.SpecError: `x` is wrong\n[rank0]: hint: Choose y\nbye"

    assert last_error(log) == ("backend.errors.SpecError: `x` is wrong", "Choose y")
    assert last_error("nothing here\nUserWarning: old") == ("", "")


@pytest.mark.parametrize("code", [-9, 137, 247])
def test_three_spellings_of_one_signal_are_read_alike(code: int) -> None:
    assert signal_of(code) is signal.SIGKILL


@pytest.mark.parametrize("code", [0, 1, 3, 127, 128, 255 - 100])
def test_ordinary_exit_codes_are_no_signals(code: int) -> None:
    found = signal_of(code)

    assert found is None or code > 128
