"""The one door, asked of the running app: hosts, other sites' writes, closed paths, headers, Gradio's included."""

import asyncio
import re

import httpx
import pytest

from studio.web.allowed_hosts import NetworkAddress, is_loopback
from studio.web.request_guard import GRADIO_PATHS, STUDIO_PATHS, RequestGuard
from tests.serving import Served, kept_file

PATHS = ["/", "/zh/", "/healthz", "/ui/css/base.css", "/theme.css", "/config", "/api/runs"]
STREAM = "/gradio_api/heartbeat/abc"  # never ends where it is let through


@pytest.mark.parametrize(
    "host",
    ["evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "127.0.0.1@evil.com", "", "evil.com:7860", "0.0.0.0:7860",
     "127.0.0.1:port", "127.0.0.1/x", "169.254.1.1"],
)  # fmt: skip
@pytest.mark.parametrize("path", [*PATHS, STREAM])
def test_w3_another_host_is_refused_everywhere(ask: httpx.Client, host: str, path: str):
    assert ask.get(path, headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["[::1]:7860", "localhost:7860", "LOCALHOST.", "127.0.0.1", "127.1.2.3:80"])
def test_w3_every_name_of_this_machine_is_served(ask: httpx.Client, host: str):
    assert ask.get("/healthz", headers={"host": host}).status_code == 200


def test_w3_loopback_is_told_from_its_look_alikes():
    assert [name for name in ("localhost", "127.0.0.1", "::1", "[::1]", "LOCALHOST.") if not is_loopback(name)] == []
    assert [
        name for name in ("0.0.0.0", "::", "localhost.evil", "1.2.3.4", "", "::ffff:1.2.3.4") if is_loopback(name)
    ] == []


def own(ask: httpx.Client) -> str:
    return str(ask.base_url).rstrip("/")


STRANGERS = [
    {"origin": "http://evil.com"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://sub.OWN"}, {"origin": "http://OWN.evil.com"}, {"origin": ""}, {"origin": "OWN"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    {"origin": "http://OWN", "sec-fetch-site": "cross-site"},
]  # fmt: skip
BODIES = [
    {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"},
    {"content-type": "application/json"}, {"content-type": ""},
]  # fmt: skip


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_w4_another_site_cannot_write(ask: httpx.Client, studio: Served, method: str, stranger: dict[str, str]):
    stranger = {name: value.replace("OWN", own(ask).removeprefix("http://")) for name, value in stranger.items()}
    before = sorted(studio.workspace.uploads.rglob("*"))

    for kind in BODIES:
        for path in ("/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/cancel"):
            answer = ask.request(method, path, headers=stranger | kind, content=b'{"fn_index": 0}')
            assert answer.status_code == 403

    assert sorted(studio.workspace.uploads.rglob("*")) == before


@pytest.mark.parametrize("said", [{}, {"origin": "OWN"}, {"origin": "OWN", "sec-fetch-site": "same-origin"}], ids=str)
def test_w4_our_own_page_and_programs_can_write(ask: httpx.Client, studio: Served, said: dict[str, str]):
    said = {name: value.replace("OWN", own(ask)) for name, value in said.items()}

    answer = ask.post("/gradio_api/upload", headers=said, files={"files": ("note.csv", b"a,b\n")})

    assert answer.status_code == 200
    (name,) = answer.json()
    assert kept_file(studio.workspace, name).read_bytes() == b"a,b\n"


@pytest.mark.parametrize("origin", ["http://evil.com", "null", "http://localhost:9999", "OWN"])
@pytest.mark.parametrize("path", PATHS)
def test_w5_no_answer_invites_another_origin(ask: httpx.Client, origin: str, path: str):
    origin = origin.replace("OWN", own(ask))
    asks = {"origin": origin, "access-control-request-method": "POST"}
    for answer in (ask.get(path, headers={"origin": origin}), ask.options(path, headers=asks)):
        assert [name for name in answer.headers if name.startswith("access-control-")] == []


def test_w8_files_of_the_workspace_and_the_machine_are_not_served(ask: httpx.Client, studio: Served):
    workspace = studio.workspace
    outside = workspace.root / "outside.txt"
    outside.write_text("secret")
    sibling = workspace.uploads.with_name(".uploads-2")
    sibling.mkdir()
    (sibling / "a.txt").write_text("secret")
    (workspace.uploads / "link.txt").symlink_to(outside)
    image = next((workspace.data / "shapes" / "images").iterdir())
    wanted = [
        workspace.database, workspace.root / ".env", outside, image, sibling / "a.txt",
        workspace.uploads / "link.txt",
        workspace.data / "shapes" / "data.json", "/proc/self/environ", "/etc/passwd",
        f"{workspace.uploads}/../studio.db", f"{workspace.uploads}/%2e%2e/studio.db",
    ]  # fmt: skip

    for path in wanted:
        answer = ask.get(f"/gradio_api/file={path}")
        assert (answer.status_code, b"secret" in answer.content) == (403, False), path
    for url in ("http://evil.com/a", "https://127.0.0.1/", "file:///etc/passwd"):
        assert ask.get(f"/gradio_api/file={url}").status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/media/dataset/shapes/..%2f..%2fdata.json", "/media/dataset/shapes/data.json", "/media/dataset/../x/a.png",
     "/media/dataset/..%2foutput/studio.db", "/media/asked/..%2f..%2fstudio.db", "/media/asked/%2fetc%2fpasswd",
     "/media/dataset/shapes/a.png%00.txt", "/api/datasets/..%2foutput/problems.csv",
     "/api/datasets/nothing/problems.csv",
     "/api/datasets/nothing/rows", "/ui/..%2f..%2fpyproject.toml", "/ui/../pyproject.toml"],
)  # fmt: skip
def test_w9_made_up_names_find_nothing(ask: httpx.Client, path: str):
    assert ask.get(path).status_code in (400, 404)


def test_w9_images_are_found_by_name_and_thumbnails_are_made_anew(ask: httpx.Client, studio: Served):
    name = studio.datasets.page("shapes").rows[0].images[0].removeprefix("images/")

    whole = ask.get(f"/media/dataset/shapes/{name}")
    small = ask.get(f"/media/dataset/shapes/{name}?thumb=true")

    assert whole.content == (studio.workspace.data / "shapes" / "images" / name).read_bytes()
    assert (whole.headers["content-type"], small.headers["content-type"]) == ("image/png", "image/webp")
    assert whole.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/gradio_api/monitoring"])
def test_w11_every_answer_carries_the_headers(ask: httpx.Client, path: str):
    headers = ask.get(path).headers

    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["connect-src"] == policy["default-src"] == policy["frame-ancestors"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_w11_an_uploaded_page_is_downloaded_and_not_shown(ask: httpx.Client):
    (path,) = ask.post("/gradio_api/upload", files={"files": ("a.html", b"<script>alert(1)</script>")}).json()

    headers = ask.get(f"/gradio_api/file={path}").headers

    assert headers["content-disposition"].startswith("attachment")
    assert "html" not in headers["content-type"]


CLOSED = [
    "/monitoring", "/monitoring/summary", "/docs", "/redoc", "/openapi.json", "/gradio_api/openapi.json",
    "/gradio_api/info", "/gradio_api/runs", "/gradio_api/run-history/buckets", "/gradio_api/mcp/",
    "/gradio_api/vibe-code", "/gradio_api/deep_link", "/gradio_api/dev/reload", "/gradio_api/proxy=http://evil.com",
    "/gradio_api/user", "/gradio_api/token", "/gradio_api/app_id", "/manifest.json", "/pwa_icon", "/robots.txt",
    "/zh/monitoring", "/zh/gradio_api/info", "/gradio_api/call/predict", "/gradio_api/api/predict",
    "/gradio_api/run/load",
]  # fmt: skip


@pytest.mark.parametrize("path", CLOSED)
def test_w15_what_is_switched_off_is_not_there(ask: httpx.Client, path: str):
    assert ask.get(path).status_code == 404
    assert ask.post(path, json={}).status_code == 404


def test_without_accounts_there_is_nothing_to_log_in_to(ask: httpx.Client):
    for page in ("", "/zh"):
        answer = ask.get(f"{page}/login?next=//evil.com")
        assert (answer.status_code, answer.headers["location"]) == (303, "./" if not page else "../zh/")
        assert ask.post(f"{page}/login", data={"name": "ann", "password": "anything"}).status_code == 401


GRADIO_NEEDED = {
    "/", "/config", "/theme.css", "/favicon.ico", "/static/x", "/assets/x", "/svelte/x", "/gradio_api/theme.css",
    "/gradio_api/startup-events", "/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/cancel",
    "/gradio_api/reset", "/gradio_api/heartbeat/x", "/gradio_api/queue/join", "/gradio_api/queue/data",
    "/gradio_api/file=/x",  # ours, in its place; and /gradio_api/run/predict of /gradio_api/run/{api_name}
}  # fmt: skip


def test_w6_every_route_is_open_by_choice_or_closed(assembled: dict[str, list[str]]):
    """A Gradio upgrade that adds a route leaves it closed; those that pages need are listed here once more."""
    paths = {re.sub(r"\{[^}]*\}", "/x", path).replace("//", "/") for path in assembled["paths"]}
    assert len(paths) > 80

    opened = {path for path in paths if GRADIO_PATHS.fullmatch(path) or STUDIO_PATHS.fullmatch(path)}

    assert opened == GRADIO_NEEDED | {f"/zh{path}" for path in GRADIO_NEEDED} | {
        "/healthz", "/zh", "/login", "/logout", "/zh/login", "/zh/logout", "/api/curves", "/api/runs",
        "/api/runs/x/log", "/api/runs/x/answers", "/api/runs/x/rollouts", "/api/runs/x/check",
        "/api/runs/x/evaluation", "/api/runs/x/wall", "/api/watch", "/api/datasets/x/rows",
        "/api/datasets/x/problems.csv", "/media/asked/x", "/media/dataset/x/x", "/ui-vendor/bokeh.min.js",
        "/zh/ui-vendor/bokeh.min.js",
    }  # fmt: skip


def test_the_page_names_no_other_site(ask: httpx.Client):
    for path in ("/", "/zh/"):
        page = ask.get(path).text
        head = page[: page.index("window.gradio_config")]
        assert not re.search(r"https?://(?!127\.0\.0\.1|www\.w3\.org)", head)
        assert not re.search(r"<(link|script|img)[^>]+(href|src)=\"https?://", page)


def test_w20_two_hosts_are_refused(ask: httpx.Client):
    """Also where the server in front lets them through."""
    answered = []

    async def send(message: dict) -> None:
        answered.append(message.get("status"))

    async def passed(scope: dict, receive: object, send: object) -> None:
        answered.append("passed")

    hosts = [(b"host", b"127.0.0.1"), (b"host", b"127.0.0.1")]
    for headers in (hosts, hosts[:1], []):
        scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": headers, "server": ("127.0.0.1", 80)}
        asyncio.run(RequestGuard(passed, NetworkAddress())(scope, None, send))
    assert answered == [403, None, "passed", 403, None]


@pytest.mark.parametrize(
    ("header", "word"), [("x-forwarded-host", "evil.example"), ("x-gradio-server", "http://evil.example/")]
)
def test_w20_a_proxys_word_that_nobody_asked_for_is_dropped(ask: httpx.Client, header: str, word: str):
    for path in ("/", "/zh/", "/config", "/zh/config"):
        address = f"127.0.0.1{len(header)}:7860"  # by which no other test calls: a page is made once for each
        answer = ask.get(path, headers={header: word, "host": address})
        assert (answer.status_code, "evil.example" in answer.text) == (200, False)


def test_w19_a_name_longer_than_any_file_has_is_not_asked_for(ask: httpx.Client):
    for path in ("/static/", "/assets/", "/ui/", "/media/asked/", "/gradio_api/file=own/"):
        assert ask.get(path + "a" * 300).status_code == 404
    assert ask.get("/" + "a/" * 2000).status_code == 404


def test_w16_gradio_itself_looks_at_what_it_is_told_to_copy(assembled: dict[str, list[bool]]):
    """The second door behind ours: it is open until a page is said to have been launched."""
    assert assembled["launched"] == [True, True]
