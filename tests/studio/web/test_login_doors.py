"""A studio with accounts, asked as its proxy asks it: what is open without a login, how one logs in, what ends one."""

import asyncio
import concurrent.futures
import json
import re
import shutil
import socket
import time
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from backend.errors import LaunchError
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from studio.web import account_file
from studio.web.account_file import AccountFile
from studio.web.allowed_hosts import NetworkAddress
from studio.web.login import LogIns, Sessions
from studio.web.login_gate import OPEN_PATHS, LoginGate, cookie_name
from studio.web.login_routes import address_of
from studio.web.request_guard import GRADIO_PATHS, STUDIO_PATHS
from studio.web.server import serve
from tests.serving import Served
from tests.studio.conftest import NAME, PASSWORD, PREFIX, PUBLIC
from tests.studio.proxying import proxied

# what works without a login, spelled once more: whoever opens another path must write it here
OPEN = {
    "/healthz", "/login", "/logout", "/zh/login", "/zh/logout",
    "/ui/css/login.css", "/ui/js/login.js", "/ui/logo.svg", "/zh/ui/css/login.css", "/zh/ui/js/login.js",
    "/zh/ui/logo.svg",
}  # fmt: skip
PAGES = ("/", "/zh/", "/zh")


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def test_w6_nothing_but_the_login_is_open(stranger: httpx.Client, assembled: dict[str, list[str]]):
    """Every route of the assembled app, Gradio's included, asked by nobody."""
    paths = {re.sub(r"\{[^}]*\}", "x", path).replace("//", "/") for path in assembled["paths"]}
    named = {*paths, "/gradio_api/run/predict", "/gradio_api/file=/etc/passwd", "/ui/css/base.css", *OPEN, *PAGES}
    assert len(named) > 100

    opened = set()
    for path in sorted(named):
        is_there = GRADIO_PATHS.fullmatch(path) or STUDIO_PATHS.fullmatch(path)
        for method in ("GET", "POST", *(["HEAD"] if path in PAGES else [])):
            status = stranger.request(method, path).status_code
            wanted = {303} if path in PAGES and method != "POST" else {401} if is_there else {404}
            if status not in wanted:
                opened.add(path)

    assert opened == OPEN_PATHS == OPEN


def test_w6_an_answer_that_needs_a_login_says_so_and_nothing_else(stranger: httpx.Client):
    for method, path in (("GET", "/api/runs"), ("POST", "/gradio_api/queue/join"), ("GET", "/gradio_api/queue/data"),
                         ("GET", "/gradio_api/heartbeat/x"), ("GET", "/config"), ("POST", "/")):  # fmt: skip
        answer = stranger.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, set(answer.json())) == (401, {"message", "hint"})
        assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "login"),
    [("/", "login"), ("/zh/", "login"), ("/zh", "zh/login"), ("/?talk=a&b", "login?next=%2F%3Ftalk%3Da%26b")],
)
def test_w6_pages_lead_to_the_login_and_back(stranger: httpx.Client, path: str, login: str):
    answer = stranger.get(path)

    assert (answer.status_code, answer.headers["location"]) == (303, login)


@pytest.mark.parametrize(("page", "language"), [("/login", "en"), ("/zh/login", "zh-CN")])
def test_the_login_page_is_whole_without_a_login(stranger: httpx.Client, page: str, language: str):
    answer = stranger.get(page, params={"next": '/?x="><script>alert(1)</script>'})

    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert "<script>" not in answer.text
    assert "$" not in answer.text
    for address in re.findall(r'(?:src|href)="(ui/[^"]+)"', answer.text):
        assert stranger.get(page.replace("login", address)).status_code == 200
    assert answer.headers["cache-control"] == "no-store"


def test_w12_the_right_password_opens_with_a_cookie_that_scripts_and_other_sites_cannot_use(stranger: httpx.Client):
    answer = stranger.post("/login", data={"name": " Ann ", "password": PASSWORD, "next": "/?talk=a"})

    assert (answer.status_code, answer.headers["location"]) == (303, "./?talk=a")
    cookie = answer.headers["set-cookie"]
    assert re.match(r"studio-[0-9a-f]{10}=[\w-]{43};", cookie)
    for part in ("HttpOnly", "SameSite=lax", f"Path={PREFIX}"):
        assert part in cookie
    assert "Secure" not in cookie
    assert stranger.get("/api/runs", headers={"cookie": cookie_of(answer)}).status_code == 200
    assert stranger.get("/login", headers={"cookie": cookie_of(answer)}).headers["location"] == "./"


def test_w12_wrong_names_and_passwords_read_alike_and_are_slowed_down(stranger: httpx.Client):
    def tried(name: str, **headers: str) -> httpx.Response:
        return stranger.post("/zh/login", data={"name": name, "password": "no such words"}, headers=headers)

    first = tried("nobody")
    assert first.status_code == 401
    assert "set-cookie" not in first.headers
    for number in range(4):  # X-Forwarded-For is anybody's claim
        assert tried("nobody", **{"x-forwarded-for": f"10.0.0.{number}"}).status_code == 401
    slowed = tried("nobody", **{"x-forwarded-for": "10.0.0.9"})
    assert slowed.status_code == 429
    assert 10 <= int(slowed.headers["retry-after"]) <= 15
    assert f"{slowed.headers['retry-after']} 秒" in slowed.text
    known = tried(NAME)
    assert known.status_code == 401
    assert known.text.replace(f'value="{NAME}"', "") == first.text.replace('value="nobody"', "")


def test_w12_a_flood_of_guesses_leaves_the_rest_alone(stranger: httpx.Client, member: httpx.Client):
    def guess(number: int) -> int:
        return stranger.post("/login", data={"name": f"flood-{number}", "password": "no such words"}).status_code

    begun = time.monotonic()
    assert guess(30) == 401
    guess_s = time.monotonic() - begun
    with concurrent.futures.ThreadPoolExecutor(30) as many:
        guesses = [many.submit(guess, number) for number in range(30)]
        waits = []
        while not all(each.done() for each in guesses):
            begun = time.monotonic()
            assert member.get("/api/runs").status_code == 200
            waits.append(time.monotonic() - begun)

    assert max(waits) < 12 * guess_s  # of 30 guesses
    assert {each.result() for each in guesses} == {401, 429}  # some at work, the rest told to come back


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"name=" + b"a" * 20_000, b"&" * 5000, b'{"name": "ann"}',
                                  f"name=ann&password={'x' * 7000}".encode(), b"name=%00&password=%ff%fe"])  # fmt: skip
def test_w12_what_is_no_form_is_a_wrong_password(stranger: httpx.Client, body: bytes):
    answer = stranger.post("/login", content=body, headers={"content-type": "application/x-www-form-urlencoded"})

    assert answer.status_code in (401, 429)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("cookie", ["", "studio-0000000000=x", "{name}=", "{name}=x", '{name}="; x="',
                                    "{name}=" + "a" * 4000, "=; ;=", "{name}"])  # fmt: skip
def test_w12_a_made_up_cookie_opens_nothing(stranger: httpx.Client, logged_in: dict[str, str], cookie: str):
    (name,) = logged_in

    answer = stranger.get("/api/runs", headers={"cookie": cookie.format(name=name).encode()})

    assert answer.status_code == 401


def test_w12_logging_out_ends_it_everywhere(stranger: httpx.Client):
    cookie = cookie_of(stranger.post("/login", data={"name": NAME, "password": PASSWORD}))
    stranger.cookies.clear()
    assert stranger.get("/api/runs", headers={"cookie": cookie}).status_code == 200

    out = stranger.post("/zh/logout", headers={"cookie": cookie})

    assert (out.status_code, out.headers["location"]) == (303, "login")
    assert "Max-Age=0" in out.headers["set-cookie"]
    stranger.cookies.clear()
    assert stranger.get("/api/runs", headers={"cookie": cookie}).status_code == 401
    assert stranger.post("/logout").status_code == 303  # whose session was over already


def test_w20_a_new_login_ends_the_session_that_it_replaces(stranger: httpx.Client):
    first = cookie_of(stranger.post("/login", data={"name": NAME, "password": PASSWORD}))
    second = cookie_of(stranger.post("/login", data={"name": NAME, "password": PASSWORD}, headers={"cookie": first}))
    stranger.cookies.clear()

    assert [stranger.get("/api/runs", headers={"cookie": each}).status_code for each in (first, second)] == [401, 200]


def test_w4_another_site_can_neither_log_in_nor_out(stranger: httpx.Client, member: httpx.Client):
    for said in ({"origin": "http://evil.com"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert stranger.post("/login", data={"name": NAME, "password": PASSWORD}, headers=said).status_code == 403
        assert member.post("/logout", headers=said).status_code == 403
    assert member.get("/api/runs").status_code == 200


def test_w6_who_is_removed_is_out_at_once(stranger: httpx.Client, locked: Served):
    accounts = AccountFile(locked.workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account_file, "COST", 2**10)
        accounts.add("guest", PASSWORD)
    cookie = cookie_of(stranger.post("/login", data={"name": "guest", "password": PASSWORD}))
    stranger.cookies.clear()
    name = locked.datasets.page("shapes").rows[0].images[0].removeprefix("images/")
    image = f"/media/dataset/shapes/{name}"
    assert stranger.get(image, headers={"cookie": cookie}).status_code == 200

    accounts.remove("guest")

    for path in (image, "/api/runs", "/gradio_api/heartbeat/x"):
        assert stranger.get(path, headers={"cookie": cookie}).status_code == 401


def test_w6_a_stream_ends_when_its_session_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(account_file, "COST", 2**10)
    workspace = Workspace(tmp_path)
    workspace.prepare()
    accounts = AccountFile(workspace)
    accounts.add("other", PASSWORD)
    log_ins = LogIns(workspace, accounts, Sessions(workspace, accounts))
    token = log_ins.sessions.begin(accounts.add("guest", PASSWORD))
    scope = {"type": "http", "method": "GET", "path": "/gradio_api/heartbeat/x",
             "headers": [(b"cookie", f"{cookie_name(workspace)}={token}".encode())]}  # fmt: skip
    sent = []

    async def beats(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(4):
            if number == 2:
                accounts.remove("guest")
            await send({"type": "http.response.body", "body": b"beat", "more_body": True})

    async def heard(message) -> None:
        sent.append((message.get("body"), message.get("more_body", False)))

    asyncio.run(LoginGate(beats, workspace, log_ins, NetworkAddress())(scope, None, heard))

    assert sent == [(None, False), (b"beat", True), (b"beat", True), (b"", False)]


def test_m2_what_a_member_uploads_a_stranger_cannot_see(stranger: httpx.Client, member: httpx.Client, locked: Served):
    (path,) = member.post("/gradio_api/upload", files={"files": ("note.csv", b"question,answer\n")}).json()
    name = locked.datasets.page("shapes").rows[0].images[0].removeprefix("images/")
    theirs = [
        f"/gradio_api/file={path}",
        f"/media/dataset/shapes/{name}",
        "/media/asked/x.png",
        "/api/datasets/shapes/rows",
    ]

    for page in ("", "/zh"):
        assert stranger.post(f"{page}/gradio_api/upload", files={"files": ("a.csv", b"a\n")}).status_code == 401
        assert [stranger.get(page + each).status_code for each in theirs if page == "" or "gradio" in each] == [401] * (
            4 if page == "" else 1
        )
    assert member.get(f"/gradio_api/file={path}").content == b"question,answer\n"


def test_w8_no_file_of_the_doors_is_served_to_a_member_either(member: httpx.Client, locked: Served):
    workspace = locked.workspace
    checkpoint = workspace.output / "20260101-000000-run" / "final_model" / "model.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    ours = [workspace.accounts, workspace.sessions, workspace.database, workspace.output / "audit.jsonl", checkpoint,
            workspace.output / "studio.lock"]  # fmt: skip
    assert [path for path in ours if not path.is_file()] == []

    for path in (*ours, "/proc/self/environ", f"{workspace.uploads}/../accounts.json"):
        for page in ("", "/zh"):
            answer = member.get(f"{page}/gradio_api/file={path}")
            assert (answer.status_code, answer.text) == (403, "There is no such file.\n"), path
    shutil.rmtree(checkpoint.parent.parent)


def clicked(member: httpx.Client, page: str, elem_id: str) -> int:
    config = member.get(f"{page}config").json()
    (button,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == elem_id]
    (event,) = [each["id"] for each in config["dependencies"] if [button, "click"] in each["targets"]]
    return int(event)


@pytest.mark.parametrize("button", ["dry-run", "reward-save", "eval-start", "import", "start"])
def test_r15_without_a_login_nobody_saves_runs_or_starts(
    stranger: httpx.Client, member: httpx.Client, locked: Served, button: str
):
    body = {"fn_index": clicked(member, "/", button), "session_hash": "stranger",
            "data": [None, "evil", "def reward(**all): return [1]", {}, "shapes", 1, 2, "demo"]}  # fmt: skip

    for path in ("/gradio_api/queue/join", "/gradio_api/run/predict", "/zh/gradio_api/queue/join"):
        assert stranger.post(path, json=body).status_code == 401

    assert RewardStore(locked.workspace).names() == []
    assert not any(locked.workspace.output.glob("*/spec.json"))


def test_w2_a_name_for_other_machines_needs_an_account_too(tmp_path: Path):
    for name in (PUBLIC, "192.168.1.5", "fe80::1"):
        with pytest.raises(LaunchError, match="no accounts") as caught:
            serve(Workspace(tmp_path / "new"), address=NetworkAddress(allowed_hosts=("localhost", name)))
        assert "studio user add NAME" in caught.value.hint
    with pytest.raises(LaunchError, match="no host name"):
        serve(Workspace(tmp_path / "new"), address=NetworkAddress(allowed_hosts=("https://studio.example.com/",)))
    assert not (tmp_path / "new").exists()


def test_w3_a_public_server_goes_by_its_own_names_only():
    public, behind = NetworkAddress("0.0.0.0", (PUBLIC,)), NetworkAddress("127.0.0.1", (PUBLIC, "10.1.2.3"))
    own = "10.0.0.7"

    for name in (socket.gethostname(), socket.gethostname().upper() + ".", own, f"::ffff:{own}", PUBLIC, "localhost"):
        assert public.knows(name, own), name
    for name in ("evil.com", "10.0.0.8", f"{own}.evil.com", f"x.{PUBLIC}", "", "0.0.0.0", "127.0.0.1.evil.com"):
        assert not public.knows(name, own), name
    assert behind.knows("10.1.2.3", "127.0.0.1")
    assert not behind.knows(socket.gethostname(), "127.0.0.1") or socket.gethostname() == "localhost"
    assert not behind.knows(own, own)


def test_w3_the_allowed_name_is_served_and_no_other(member: httpx.Client):
    for host in (PUBLIC, f"{PUBLIC}:8443", PUBLIC.upper(), "127.0.0.1"):
        assert member.get("/api/runs", headers={"host": host}).status_code == 200
    for host in (f"evil.{PUBLIC}", f"{PUBLIC}.evil.com", "evil.com"):
        assert member.get("/api/runs", headers={"host": host}).status_code == 403


def test_w12_a_visitors_address_is_what_the_connection_says_unless_the_proxy_is_trusted():
    def asked(address: NetworkAddress, *forwarded: bytes) -> str:
        headers = [(b"x-forwarded-for", value) for value in forwarded]
        return address_of(Request({"type": "http", "headers": headers, "client": ("10.0.0.1", 1)}), address)

    assert asked(NetworkAddress(), b"6.6.6.6") == "10.0.0.1"
    assert asked(NetworkAddress(trusts_proxy=True), b"6.6.6.6, 10.9.9.9") == "10.9.9.9"
    assert asked(NetworkAddress(trusts_proxy=True), b"6.6.6.6", b"10.9.9.9") == "10.9.9.9"
    assert asked(NetworkAddress(trusts_proxy=True)) == "10.0.0.1"


@pytest.mark.parametrize("proto", ["http", "https"])
def test_behind_a_proxy_with_a_prefix_everything_works(locked: Served, proto: str):
    own = {"host": PUBLIC, "origin": f"{proto}://{PUBLIC}"}
    with proxied(locked.address, PREFIX, proto) as address, httpx.Client(timeout=20, verify=False) as client:
        first = client.get(f"{address}/zh/?talk=1", headers=own)
        assert (first.status_code, first.headers["location"]) == (303, "login?next=%2Fzh%2F%3Ftalk%3D1")
        done = client.post(
            f"{address}/zh/login", data={"name": NAME, "password": PASSWORD, "next": "/zh/"}, headers=own
        )
        assert (done.status_code, done.headers["location"]) == (303, "../zh/")
        assert f"Path={PREFIX};" in done.headers["set-cookie"]
        assert ("Secure" in done.headers["set-cookie"]) == (proto == "https")

        asked = own | {"cookie": cookie_of(done)}
        page = client.get(f"{address}/zh/", headers=asked)
        root = f"{proto}://{PUBLIC}{PREFIX}/zh"
        assert json.dumps(root) in page.text.replace("\\/", "/")
        assert ("http://" not in re.sub(r"http://www\.w3\.org", "", page.text)) == (proto == "https")
        for path in ("/zh/config", "/zh/ui/js/dom.js", "/api/runs", "/api/datasets/shapes/rows", "/zh/theme.css"):
            assert client.get(address + path, headers=asked).status_code == 200, path
        sent = client.post(f"{address}/zh/gradio_api/upload", files={"files": ("a.csv", b"a,b\n")}, headers=asked)
        assert sent.status_code == 200
        body = {"fn_index": clicked_through(client, address, asked), "session_hash": proto, "data": [None, None]}
        assert client.post(f"{address}/zh/gradio_api/queue/join", json=body, headers=asked).status_code == 200
        with client.stream("GET", f"{address}/zh/gradio_api/queue/data?session_hash={proto}", headers=asked) as told:
            assert "process_completed" in "".join(told.iter_text())
        assert client.get(address.removesuffix(PREFIX) + "/api/runs", headers=asked).status_code == 404


def clicked_through(client: httpx.Client, address: str, headers: dict[str, str]) -> int:
    """An event that goes through the queue and changes nothing."""
    config = client.get(f"{address}/zh/config", headers=headers).json()
    (button,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == "reward-copy"]
    return next(int(each["id"]) for each in config["dependencies"] if [button, "click"] in each["targets"])
