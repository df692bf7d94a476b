"""What goes wrong inside tells a visitor nothing, and the log no secret and no path of somebody's home."""

import io
import sqlite3

import httpx
import pytest

from studio.web.log_redaction import RedactedStream, secrets_of
from tests.serving import Served
from tests.studio.conftest import SECRET
from tests.studio.events import Events


def test_w13_a_broken_index_tells_nothing_of_what_it_is(member: httpx.Client, locked: Served):
    """Its table is taken away under the running server: routes and events that read it fail inside."""
    home, log = str(locked.workspace.root.parent), locked.workspace.root / "studio.log"
    ((name, cookie),) = member.cookies.items()
    events = Events(member)
    chosen = events.at("run-list", "change")
    read = len(log.read_text())
    with sqlite3.connect(locked.workspace.database) as index:
        index.execute("ALTER TABLE runs RENAME TO runs_away")
    try:
        asked = {"x-secret": SECRET, "cookie": f"{name}={cookie}", "connection": "close"}
        wanted = ("/api/runs", f"/api/watch?runs=x&key={SECRET}")
        failed = [httpx.get(locked.address + path, headers=asked, verify=False) for path in wanted]
        said = [answer.text for answer in failed] + [events.call(chosen, [{"id": "some-run"}, None], "w13")]
    finally:
        with sqlite3.connect(locked.workspace.database) as index:
            index.execute("ALTER TABLE runs_away RENAME TO runs")
        index.close()

    assert [answer.status_code for answer in failed] == [500, 500]
    logged = log.read_text()[read:]
    assert "Traceback" in logged
    for told in (*said, logged):
        for secret in (home, SECRET, cookie):
            assert secret not in told
    for told in said:
        assert "Traceback" not in told
        assert "sqlite" not in told.lower()
    assert member.get("/api/runs").status_code == 200


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("GET / cookie: studio-0123456789=abcDEF_-123; other=1\n", "abcDEF"),
        ("{'studio-0123456789': 'abcDEF_-123'}\n", "abcDEF"),
        ('password="four words of rain"\n', "four"),
        ("Authorization: Bearer-abcdef\n", "abcdef"),
        ("pushing with hf_abcdefghijkl to /home/ann/work/x\n", "abcdefghijkl"),
        ("pushing to /home/ann/work/x\n", "/home/ann"),
        ("a value verySecretValue in the middle\n", "verySecretValue"),
    ],
)
def test_w13_the_log_is_cleaned_line_by_line(written: str, kept: str):
    sink = io.StringIO()
    log = RedactedStream(
        sink, secrets_of({"WANDB_API_KEY": "verySecretValue", "SHORT_TOKEN": "a", "LANG": "C.UTF-8"}), "/home/ann"
    )

    for place in range(0, len(written), 7):  # as print writes: in pieces, which may end within a secret
        log.write(written[place : place + 7])
        log.flush()

    assert kept not in sink.getvalue()
    assert sink.getvalue().endswith("\n")
    assert len(sink.getvalue()) > 5


def test_w13_what_is_no_secret_stays_readable():
    sink = io.StringIO()

    RedactedStream(sink, (), "/").write("Traceback: /srv/work/a.py line 3, token count 12, passwords.py\nnext")

    assert sink.getvalue() == "Traceback: /srv/work/a.py line 3, token count 12, passwords.py\n"
