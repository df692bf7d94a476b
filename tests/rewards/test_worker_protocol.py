import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reward_lab import QUICK, batch, source

from backend.errors import LaunchError
from backend.rewards import contract
from backend.rewards.sandbox import return_values
from backend.rewards.sandbox.client import RewardWorker, _parsed, _ScoresReply
from backend.rewards.sandbox.process import RewardWorkerLostError

# Speaks the protocol of the worker as far as the request; the answer to that is what the test says.
FAKE = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
lines = channel.makefile("r", encoding="utf-8")
for answer in (HELLO, LOADED, *ANSWERS):
    lines.readline()
    channel.sendall(answer)
"""
HELLO = b'{"limits": true, "network": false, "files": false}\n'
LOADED = b'{"failure": null}\n'
PARTS = [b'"id": 1', b'"values": [1, 2.5]', b'"failure": null']
RIGHT = {"id": 1, "values": [1, 2.5], "parts": {}, "invalid": ["", ""], "metrics": {}, "columns": {}, "failure": None}


def answering(tmp_path, *answers: bytes, hello: bytes = HELLO, loaded: bytes = LOADED, size: int = 2):
    program = tmp_path / "fake.py"
    program.write_text(f"HELLO, LOADED, ANSWERS = {hello!r}, {loaded!r}, {answers!r}\n{FAKE}")
    with RewardWorker(source("def reward(completions): ..."), QUICK, program=program) as worker:
        return worker.score(batch(*"ab"[:size]))


def line(**changes) -> bytes:
    return json.dumps(RIGHT | changes).encode() + b"\n"


def test_r9_a_right_answer_is_taken(tmp_path):
    scores = answering(tmp_path, line())

    assert (scores.values, scores.failure) == ((1.0, 2.5), None)


@pytest.mark.parametrize("number", [b"1e308", b"-1.1e30", b"1e400", b"NaN", b"Infinity", b'"1"', b"1" + b"0" * 400])
@pytest.mark.parametrize(
    "place", ['"values": [N, 2.5]', '"parts": {"a": [N, 2.5]}', '"metrics": {"a": N}', '"columns": {"a": [N, 2.5]}']
)
def test_r21_no_number_on_the_channel_is_believed_unseen(tmp_path, place, number):
    key = place.partition(":")[0].encode()
    answer = b"{" + b", ".join(part for part in PARTS if not part.startswith(key))
    answer += b", " + place.encode().replace(b"N", number) + b"}\n"

    scores = answering(tmp_path, answer)

    if b"columns" in key and number in (b"-1.1e30", b'"1"'):  # logged, not paid: any number or text
        assert scores.values == (1.0, 2.5)
    else:
        assert scores.failure
        assert (scores.failure.kind, scores.values) == ("protocol", (None, None))


def test_r21_logged_columns_hold_plain_values_only(tmp_path):
    plain = ["a", None], [1, 2.5], [True, -1]
    scores = answering(tmp_path, line(columns=dict(zip("abc", plain, strict=True))))

    assert list(scores.columns.values()) == list(plain)
    for odd in ([[1], 2], [{}, 2]):
        failure = answering(tmp_path, line(columns={"a": odd})).failure
        assert failure
        assert failure.kind == "protocol"


def test_r21_both_sides_have_the_same_bounds():
    for name in ("MAX_VALUE", "MAX_LOGGED"):
        assert getattr(contract, name) == getattr(return_values, name)


@pytest.mark.parametrize(
    "answer",
    [
        b"\n", b"garbage\n", b"\x00\xff\xfe\n", b"null\n", b"[]\n", b'"text"\n', b"{}\n",
        b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.\n", b"[" * 100_000 + b"\n",
        line(id=2), line(id="1"), line(id=None), line(extra=1),
        line(values=[1]), line(values=[1, 2, 3]), line(values=["1", 2]), line(values=[True, 2]), line(values=None),
        line(values=[float("nan"), 1]), line(values=[float("inf"), 1]), line().replace(b"2.5", b"1e400"),
        line(parts={"a": [1]}), line(parts={"a": [1, float("nan")]}), line(invalid=["x"]), line(invalid=[1, 2]),
        line(metrics={"a": float("inf")}), line(columns={"a": 1}), line(columns={"a": [1]}),
        line(failure={"kind": "error", "message": "but there are values"}),
        line(failure={"kind": "other", "message": ""}),
        line() + line(), line() + b"more", b"x" * (18 << 20) + b"\n",
    ],
    ids=lambda answer: ascii(answer[:60]),
)  # fmt: skip
def test_r9_any_other_answer_ends_the_worker_and_is_a_failure(tmp_path, answer):
    scores = answering(tmp_path, answer)

    assert scores.failure
    assert scores.failure.kind == "protocol"
    assert scores.values == (None, None)


def test_r9_an_answer_before_the_question_is_not_taken_for_the_next(tmp_path):
    scores = answering(tmp_path, b"", loaded=LOADED + line())

    assert scores.failure
    assert scores.failure.kind == "protocol"


def test_r9_half_an_answer_is_a_death(tmp_path):
    failure = answering(tmp_path, line()[:-1]).failure

    assert failure
    assert (failure.kind, failure.message) == ("died", "The worker ended with exit code 0")


@pytest.mark.parametrize("hello", [b"garbage\n", b"{}\n", HELLO + HELLO, b'{"limits": 1, "network": 0, "files": 0}\n'])
def test_r9_a_program_that_is_no_worker_is_not_started(tmp_path, hello):
    with pytest.raises(LaunchError, match="does not start"):
        answering(tmp_path, hello=hello)


def with_another_byte(at: int, byte: int) -> bytes:
    return line()[:at] + bytes([byte]) + line()[at + 1 :]


changed = st.builds(with_another_byte, st.integers(0, len(line()) - 2), st.integers(0, 255))


@given(st.binary(max_size=200) | st.text().map(str.encode) | changed)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_r9_fuzzed_bytes_are_read_as_an_answer_or_refused(answer):
    try:
        read = _parsed(_ScoresReply, answer)
    except RewardWorkerLostError:
        return
    assert all(value is None or isinstance(value, float) for value in read.values)
