"""D3, P19: a log is read from its end, cleaned of colours and secrets."""

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
