"""What belongs to one visitor: files that were sent, and the page that is open; and how JSON is taken in at all."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.errors import StudioError
from backend.settings import Workspace
from studio.ui.events import _toast
from studio.ui.i18n import translator
from studio.web.account_file import AccountFile
from studio.web.event_gate import MOST_UNREAD
from studio.web.event_values import MOST_DEPTH, MOST_TOKENS, JsonRefused, read_json
from studio.web.visitor_files import VisitorFiles
from tests.serving import Served, kept_file
from tests.studio.conftest import PREFIX
from tests.studio.events import Events, outputs, unknown_for

SECOND, PASSWORD = "bob", "four other words entirely"
FILE = {"_type": "gradio.FileData"}


@pytest.fixture
def other(ask: httpx.Client) -> Iterator[httpx.Client]:
    """Another browser at the open studio."""
    with httpx.Client(base_url=ask.base_url, timeout=20, verify=False) as client:
        assert client.get("/").status_code == 200
        yield client


@pytest.fixture
def second(locked: Served) -> Iterator[httpx.Client]:
    """Another account at the studio with accounts."""
    AccountFile(locked.workspace).add(SECOND, PASSWORD)
    with httpx.Client(base_url=locked.address, timeout=20, verify=False) as client:
        assert client.post("/login", data={"name": SECOND, "password": PASSWORD}).status_code == 303
        cookies = {name: value for name, value in client.cookies.items()}  # for every path: no proxy adds the prefix
    with httpx.Client(base_url=locked.address, timeout=20, verify=False, cookies=cookies) as client:
        yield client
    AccountFile(locked.workspace).remove(SECOND)


def sent(client: httpx.Client, content: bytes = b"question,answer\nWhat?,this\n") -> str:
    (name,) = client.post("/gradio_api/upload", files={"files": ("mine.csv", content)}).json()
    return name


def looked_at(client: httpx.Client, name: str, session: str) -> httpx.Response:
    """Have the Data page look at an uploaded file."""
    events = Events(client)
    return events.answered(events.at("upload-files", "upload"), [[{"path": name, "meta": FILE}], None], session)


def test_w18_what_a_browser_sent_is_served_to_and_used_by_that_browser_alone(ask: httpx.Client, other: httpx.Client):
    name = sent(ask)

    assert ask.get(f"/gradio_api/file={name}").content.startswith(b"question")
    assert other.get(f"/gradio_api/file={name}").status_code == 404
    assert looked_at(ask, name, "w18mine").status_code == 200
    refused = looked_at(other, name, "w18theirs")
    assert (refused.status_code, "is not here any more" in refused.text) == (400, True)


def test_w18_what_an_account_sent_is_served_to_that_account_on_whatever_browser(
    member: httpx.Client, second: httpx.Client, locked: Served
):
    name = sent(member, b"question,answer\nA,b\n")

    assert member.get(f"/gradio_api/file={name}").status_code == 200
    assert second.get(f"/gradio_api/file={name}").status_code == 404
    assert looked_at(second, name, "w18second").status_code == 400
    own = sent(second, b"question,answer\nA,b\n")
    assert own == name  # the same content: each has a file of their own
    assert len({kept_file(locked.workspace, name), *locked.workspace.uploads.glob(f"of-*/{name[4:]}")}) == 2


def test_w18_the_page_that_somebody_has_open_answers_nobody_else(ask: httpx.Client, other: httpx.Client):
    ask.get("/")
    events, theirs = Events(ask), Events(other)
    copied = events.at("reward-copy", "click")
    assert events.answered(copied, [None, "# a text\n"], "w18page").status_code == 200

    for answer in (
        theirs.answered(copied, [None, "# another\n"], "w18page"),
        other.get("/gradio_api/queue/data?session_hash=w18page"),
        other.get("/gradio_api/heartbeat/w18page"),
        other.post("/gradio_api/cancel", json={"session_hash": "w18page", "fn_index": copied["id"], "event_id": "x"}),
    ):
        assert (answer.status_code, "belongs to somebody else" in answer.text) == (400, True)
    assert "# a text" in events.heard("w18page")


def test_w18_a_browser_is_known_by_a_cookie_that_scripts_and_other_sites_cannot_use(
    ask: httpx.Client, member: httpx.Client, stranger: httpx.Client
):
    with httpx.Client(base_url=ask.base_url, timeout=20, verify=False) as fresh:
        cookie = fresh.get("/").headers["set-cookie"]
        assert "set-cookie" not in fresh.get("/zh/").headers
    assert "HttpOnly; SameSite=Lax" in cookie
    assert "-visitor=" in cookie
    assert "set-cookie" not in member.get("/").headers  # an account needs none
    assert "visitor" not in stranger.get("/login").headers.get("set-cookie", "")
    assert f"Path={PREFIX};" not in cookie


def test_w19_a_refusal_is_in_the_words_of_its_page(ask: httpx.Client):
    bodies = {"fn_index": 0, "data": [], "session_hash": "w19words"}

    said = [ask.post(f"{page}/gradio_api/queue/join", json=bodies).json()["error"] for page in ("", "/zh")]

    assert "cannot have meant" in said[0]
    assert "无法理解" in said[1]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b"[1, Infinity]", b"1e999", b"9" * 5000, b'"\\ud800"', b'{"\\udfff": 0}', b"\xff\xfe",
     "{}".encode("utf-16"), b"[" * 100_000, b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1),
     b"[" + b"[]," * MOST_TOKENS + b"0]", b"[" + b'"",' * MOST_TOKENS + b"0]", b'"' + b'\\"' * 300_000, b'"x'],
    ids=range(16),
)  # fmt: skip
def test_w17_what_is_no_json_or_too_much_of_it_is_refused_before_anything_is_built(body: bytes):
    with pytest.raises(JsonRefused):
        read_json(body)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True, '\u4f60, "[{,]}" \\\\']}, "," * 200_000, ["[" * 50], {}, 0, "\ud83d\ude00 \u0000"],
)
def test_w17_what_a_page_sends_is_read_as_it_is(value: object):
    assert read_json(json.dumps(value).encode()) == json.loads(json.dumps(value))


def test_w17_reading_takes_as_long_as_the_text_is_long():
    """A string without an end is looked at once, however it is written: ten times the text, ten times the seconds."""

    def seconds(length: int) -> float:
        body, took = b'"' + b'\\"' * length, []
        for _ in range(3):
            begun = time.perf_counter()
            with pytest.raises(JsonRefused):
                read_json(body)
            took.append(time.perf_counter() - begun)
        return min(took)

    assert seconds(400_000) < 40 * seconds(40_000)


def test_w8_no_name_leads_out_of_a_visitors_folder(tmp_path: Path):
    files = VisitorFiles(Workspace(tmp_path))
    folder = files.folder("a" * 32) / ("0" * 64)
    folder.mkdir(parents=True)
    (folder / "mine.csv").touch()
    (folder.parent / "1").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.csv").touch()
    (folder / "link.csv").symlink_to(folder.parent / "1")
    (folder.parent / ("1" * 64)).symlink_to(tmp_path / "elsewhere")
    names = [f"own/{'0' * 64}/{name}" for name in ("..", ".", "../1", "..\\1", "no.csv", "mine.csv\0", "", "link.csv")]
    names += [f"own/{'1' * 64}/mine.csv"]

    assert [name for name in (*names, "own/../x", "/etc/passwd", "", "asked/../x") if files.find("a" * 32, name)] == []
    assert files.find("a" * 32, f"own/{'0' * 64}/mine.csv") == folder / "mine.csv"
    assert files.find("b" * 32, f"own/{'0' * 64}/mine.csv") is None


def test_w16_what_an_event_says_beside_its_values_names_no_file(ask: httpx.Client, studio: Served):
    events = Events(ask)
    copied = events.at("reward-copy", "click")
    named = {"path": str(studio.workspace.database), "meta": FILE}

    for about in (named, {"a": [named]}):
        body = events.body(copied, [None, "# x\n"], "w16about") | {"event_data": about}
        assert ask.post("/gradio_api/queue/join", json=body).status_code == 400


def test_w19_an_event_is_called_by_its_own_way_with_all_of_its_values(ask: httpx.Client):
    events = Events(ask)
    queued = events.at("reward-copy", "click")
    at_once = next(each for each in events.all if each["queue"] is False and each["inputs"])

    for event, way, count in ((queued, "run/predict", 2), (at_once, "queue/join", len(at_once["inputs"])),
                              (queued, "queue/join", 1), (queued, "queue/join", 3)):  # fmt: skip
        body = events.body(event, [None] * count, "w19way")
        assert ask.post(f"/gradio_api/{way}", json=body).status_code == 400
    for number in (-1, 10**6, True, "0", None, 0.0):
        body = events.body(queued, [None, None], "w19way") | {"fn_index": number}
        assert ask.post("/gradio_api/queue/join", json=body).status_code == 400


def test_w19_what_a_handler_refuses_is_no_fault_of_the_servers(ask: httpx.Client):
    events = Events(ask)
    asked = [event for event in events.all if event["queue"] is False]

    answers = [events.answered(each, [unknown_for(part) for part in events.inputs(each)], "w19say") for each in asked]

    assert {answer.status_code for answer in answers} == {200, 422}
    assert all(answer.json()["error"] for answer in answers if answer.status_code == 422)


def test_w19_an_example_that_is_put_into_the_question_tells_no_path(ask: httpx.Client, studio: Served):
    events = Events(ask)
    name = studio.datasets.page("shapes").rows[0].images[0].removeprefix("images/")
    clicked = {"images": [], "clicked": {"of": "dataset/shapes", "name": name}}
    event = events.at("image-strip", "input")
    values = {"html": clicked, "multimodaltextbox": {"text": "What?", "files": []}}

    said = events.call(event, [values[part["type"]] for part in events.inputs(event)], "w19example")

    (box,) = outputs(said)
    (file,) = box["files"]
    assert file["path"].startswith("asked/")
    assert str(studio.workspace.root) not in said
    assert ask.get(f"/gradio_api/file={file['path']}").headers["content-type"] == "image/png"
    again = events.call(event, [values[part["type"]] | ({"files": [file]} if part["type"] != "html" else {})
                                for part in events.inputs(event)], "w19example")  # fmt: skip
    assert len(outputs(again)[0]["files"]) == 2


def test_w17_who_asks_without_listening_is_asked_to_stop(ask: httpx.Client):
    events = Events(ask)
    copied = events.at("reward-copy", "click")

    answers = [events.answered(copied, [None, "# x\n"], "w17unread").status_code for _ in range(MOST_UNREAD)]

    assert set(answers) == {200, 400}  # each event leaves two messages or more
    assert answers[-1] == 400
    events.heard("w17unread")
    assert events.answered(copied, [None, "# x\n"], "w17unread").status_code == 200


def test_w10_a_refusal_shows_names_as_text():
    shown = _toast(StudioError("`<img onerror=x>`", hint="<b>do</b>"), translator("en"))

    assert "<img" not in shown.message
    assert "&lt;img onerror=x&gt;" in shown.message
    assert "<b>" not in shown.message
