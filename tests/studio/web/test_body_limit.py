"""What is too large or breaks off is refused, and leaves nothing behind."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import Served, kept_file
from tests.studio.conftest import MOST_UPLOAD, PREFIX

FRAME = 64 * 1024  # what a form may write around its files
HEAD = b'--frame\r\nContent-Disposition: form-data; name="files"; filename="big.csv"\r\n\r\n'
KIND = "multipart/form-data; boundary=frame"


def kept(locked: Served) -> set[Path]:
    return {path for path in locked.workspace.uploads.rglob("*") if path.is_file()}


def pieces(size: int) -> Iterator[bytes]:
    """A form of that many bytes, a piece at a time, so that nobody can say its length."""
    yield HEAD
    for start in range(0, size, 65_536):
        yield b"x" * min(65_536, size - start)
    yield b"\r\n--frame--\r\n"


@pytest.mark.parametrize("page", ["", "/zh"])
def test_u16_an_upload_that_says_it_is_too_large_is_refused_before_it_is_read(
    member: httpx.Client, locked: Served, page: str
):
    before = kept(locked)
    with httpx.Client(base_url=locked.address, timeout=20, verify=False, cookies=dict(member.cookies)) as client:
        answer = client.post(
            f"{page}/gradio_api/upload", files={"files": ("big.csv", b"x" * (MOST_UPLOAD + 2 * FRAME))}
        )

    assert answer.status_code == 413
    assert "2.06 MiB" in answer.json()["message"]
    assert "--max-upload-gb" in answer.json()["hint"]
    assert kept(locked) == before


def test_u16_an_upload_that_says_nothing_is_counted_as_it_comes(member: httpx.Client, locked: Served):
    before = kept(locked)

    answer = member.post("/gradio_api/upload", content=pieces(MOST_UPLOAD + 2 * FRAME), headers={"content-type": KIND})

    assert answer.status_code == 413
    assert kept(locked) == before
    fits = member.post("/gradio_api/upload", content=pieces(MOST_UPLOAD), headers={"content-type": KIND})
    assert fits.status_code == 200
    assert kept_file(locked.workspace, fits.json()[0]).stat().st_size == MOST_UPLOAD


def test_u16_an_upload_that_breaks_off_leaves_nothing(member: httpx.Client, locked: Served):
    before = kept(locked)
    (name, value), port = next(iter(member.cookies.items())), int(locked.address.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as broken:
        broken.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {name}={value}\r\nContent-Type: {KIND}\r\n"
            f"Content-Length: 1900000\r\n\r\n".encode()
            + HEAD
            + b"x" * 300_000
        )
        wait_until(lambda: kept(locked) != before)  # it has begun to keep it

    wait_until(lambda: kept(locked) == before)
    assert member.get("/healthz").status_code == 200


def test_u16_a_field_that_is_no_file_is_not_kept_in_memory(member: httpx.Client, locked: Served):
    before = kept(locked)
    field = b'--frame\r\nContent-Disposition: form-data; name="files"\r\n\r\n' + b"x" * 1_000_000 + b"\r\n--frame--\r\n"

    answer = member.post("/gradio_api/upload", content=HEAD + b"x\r\n" + field, headers={"content-type": KIND})

    assert (answer.status_code, answer.text) == (400, "Only files are taken here.")
    assert kept(locked) == before


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/run/predict", "/login"])
@pytest.mark.parametrize("says_length", [True, False])
def test_u16_anything_else_is_short(member: httpx.Client, path: str, says_length: bool):
    body = b'{"data": ["' + b"x" * (2 << 20) + b'"], "fn_index": 0, "session_hash": "x"}'
    content = body if says_length else (body[start : start + (1 << 20)] for start in range(0, len(body), 1 << 20))

    answer = member.post(path, content=content, headers={"content-type": "application/json"})

    assert answer.status_code in ((413,) if says_length or path != "/login" else (401, 413))


def test_u16_the_page_knows_the_limit_too(member: httpx.Client):
    assert member.get("/config").json()["max_file_size"] == MOST_UPLOAD
    assert PREFIX in member.get("/").text


def wait_until(is_so) -> None:
    deadline = time.monotonic() + 15
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
