"""D3, P19: a log is read from its end, cleaned of colours and secrets."""

import threading
from pathlib import Path

from launcher.logs import TAIL_BYTES, keep_short, read_tail, redact


def test_d3_the_tail_costs_the_same_whatever_the_size(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log.open("wb") as sink:
        sink.truncate(10 << 30)  # sparse: reading it whole would take very long
        sink.seek(0, 2)
        sink.write(b"\nfirst\nlast\n")

    assert read_tail(log, 2).splitlines() == ["first", "last"]
    assert len(read_tail(log, 10**9)) <= TAIL_BYTES


def test_a_progress_bar_shows_its_last_state_and_no_colours(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"\x1b[31mred\x1b[0m\r\n10%\r50%\r100%\ntitle \x1b]0;x\x07end\x00\xff\n")

    assert read_tail(log, 9) == "red\n100%\ntitle end\ufffd"


def test_p19_tokens_are_blanked_out(tmp_path: Path) -> None:
    text = redact("login hf_abcDEF12345678 and sk-proj-AAAAbbbb1111 but not task-list-of-things or hf_x")

    assert text == "login hf_[redacted] and sk-[redacted] but not task-list-of-things or hf_x"


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "log.txt", 5) == ""
    assert not keep_short(tmp_path / "log.txt", 5)


def test_d3_a_cut_log_keeps_whole_lines_of_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))

    with log.open("ab") as program:
        assert keep_short(log, 2000)
        program.write(b"after\n")

    lines = log.read_text().splitlines()
    assert lines[0].startswith("[earlier lines were removed")
    assert lines[-2:] == ["line 999", "after"]
    assert all(line.startswith("line ") for line in lines[1:-1])
    assert not keep_short(log, 2000)


def test_d3_what_a_program_writes_during_the_cut_never_comes_before_the_note(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    ended = threading.Event()

    def program() -> None:
        with log.open("ab", buffering=0) as sink:
            while not ended.is_set():
                sink.write(b"x" * 99 + b"\n")

    writer = threading.Thread(target=program)
    writer.start()
    try:
        cuts = 0
        while cuts < 300:
            if log.exists() and keep_short(log, 20_000):
                cuts += 1
                assert log.read_bytes().startswith(b"[earlier lines were removed")
    finally:
        ended.set()
        writer.join()


def test_d3_a_log_of_bytes_that_are_no_text_becomes_short_too(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"\xff" * 5000)

    assert keep_short(log, 2000)
    assert log.stat().st_size <= 2000
