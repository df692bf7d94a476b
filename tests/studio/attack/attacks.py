"""What is tried: every event with every kind of wrong value in every place, every route with what routes are asked."""

import itertools
import json
import random
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from tests.studio.attack.target import Target, listener, target
from tests.studio.events import DRAWS_DEMO, Events, unknown_for

FILE = {"_type": "gradio.FileData"}
BIG = "x" * 200_000
# JSON that `json.dumps` does not write, as text
RAW = ("NaN", "-Infinity", "1e999", "9" * 5000, '"\\ud800"', '{"\\udfff": "\\ud800"}', "[" * 200 + "]" * 200,
       "[" * 100_000, "[" + "[]," * 40_000 + "[]]", "{" + ",".join(f'"{n}":0' for n in range(40_000)) + "}",
       '"\\u0000"', '{"a": 1, "a": 2}')  # fmt: skip
WRONG = (None, True, -5, 1e308, "x", "../../etc/passwd", [], {}, [[{}]], {"chosen": {"of": 5}}, BIG, "\U0001f4a9\u202e")
MADE_UP = 50  # pages that nobody has open: Gradio keeps half a megabyte of each that it knows
ROUTES_RARER = 7  # of those that are possible; there are five times as many as of events
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
PARTS = ("x", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%00", "%ed%a0%80", "%252e%252e", "a" * 4000,
         "\u202e", "C:%5Cx", "-1", "~root")  # fmt: skip
QUERIES = ("", "step=1e9&start=-1&seen=%00&runs=..%2fx,,&cursor=[[[[&offset=9e99&key=%ff&thumb=maybe&session_hash=%ff"
           "&upload_id=../x&next=//evil&which=x&text=" + "y" * 300, "session_hash=" + "a" * 200)  # fmt: skip
HEADERS: tuple[dict[str, str], ...] = (
    {}, {"origin": "http://evil.example"}, {"host": "evil.example"}, {"cookie": "a=\u00e9; studio-0123456789=x"},
    {"range": "bytes=0-,5-9999999999"}, {"content-type": "multipart/form-data"}, {"content-length": "-1"},
    {"accept-encoding": "br;q=x"}, {"x-forwarded-proto": "javascript"}, {"if-none-match": "*"},
)  # fmt: skip
STREAMS = re.compile(r"heartbeat|queue/data|upload_progress|startup")  # answers that end late or never
HALVES = (
    "POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n{\"data\": [",
    "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    "Content-Length: 100000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"h.csv\"\r\n\r\nx",
    "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\nname=",
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
)  # fmt: skip


def references(target: Target, address: str) -> list[Any]:
    """Everything that Gradio takes, took or could take for a file."""
    secret, root = str(target.secret), str(target.served.workspace.root)
    paths = [secret, f"file://{secret}", "/proc/self/environ", "/dev/zero", f"{root}/output/studio.db", address,
             f"own/{'0' * 64}/../../../studio.db", "asked/../../studio.db", "/dev/stdin", "\x00"]  # fmt: skip
    plain = [{"path": path, "meta": FILE} for path in paths]
    first = plain[0]
    return [
        *plain, {"path": secret}, {"path": secret, "meta": FILE, "is_stream": True}, {"url": address, "meta": FILE},
        {"path": secret, "url": address, "meta": FILE, "orig_name": "../x", "size": -1}, [first], [[first]],
        {"a": {"b": [first]}}, {"text": "x", "files": [first]}, {"video": first}, {"image": first, "points": []},
        {"_type": "gradio.FileData", "path": secret}, {"value": first, "__type__": "update"},
    ]  # fmt: skip


def attack_events(target: Target, address: str, page: str, every: int = 1) -> list[str]:
    """Send every event of a page, in each place of its inputs, what that place does not hold.

    Args:
        target: what is attacked.
        address: where somebody listens whom the server should never ask.
        page: `/` or `/zh/`.
        every: try one in so many, drawn by chance.

    Returns:
        What should have been refused and was not.
    """
    taken = []
    with target.client() as client:
        events = Events(client, page)
        drawing = [events.at(*where)["id"] for where in DRAWS_DEMO]
        chance = random.Random(page)
        for event in (each for each in events.all if each["id"] not in drawing):
            usual = [unknown_for(component) for component in events.inputs(event)]
            places = range(len(usual)) if usual else ()
            for place, (value, is_file) in itertools.product(places, _values(target, address)):
                if chance.random() < 1 / every:
                    body = _body(events, event, usual, place, value)
                    answer = _posted(target, client, events, event, body)
                    if answer.status_code == 200 and event["queue"] is not False:
                        listen(target, client, page, event)  # as a page does; who never listens is refused soon
                    if answer.status_code >= 500 or (is_file and answer.status_code != 400):
                        taken.append(f"{page} {event['targets']} {place} {str(value)[:80]}: {answer.status_code}")
    return taken


def _values(target: Target, address: str) -> list[tuple[Any, bool]]:
    """Each wrong value, and whether it is a reference to a file. Texts that are no JSON are marked as bytes."""
    raw = [(text.encode(), False) for text in RAW]
    return [*((value, True) for value in references(target, address)), *((value, False) for value in WRONG), *raw]


def _body(events: Events, event: dict[str, Any], usual: list[Any], place: int, value: Any) -> bytes:
    values = [*usual[:place], "PLACE" if isinstance(value, bytes) else value, *usual[place + 1 :]]
    body = json.dumps(events.body(event, values, _session(event))).encode()
    return body.replace(b'"PLACE"', value) if isinstance(value, bytes) else body


def _posted(target: Target, client: httpx.Client, events: Events, event: dict[str, Any], body: bytes) -> httpx.Response:
    way = "run/predict" if event["queue"] is False else "queue/join"
    sent = client.post(f"{events.page}gradio_api/{way}", content=body, headers={"content-type": "application/json"})
    return target.note(sent, (event["targets"], body[:200]))


def listen(target: Target, client: httpx.Client, page: str, event: dict[str, Any]) -> None:
    """Hear what the queue has to say to the page that an event was sent as."""
    target.note(client.get(f"{page}gradio_api/queue/data?session_hash={_session(event)}"), "the queue")


def _session(event: dict[str, Any]) -> str:
    return f"attack{event['id'] % 3}"


def attack_bodies(target: Target, page: str) -> list[str]:
    """Bodies that are no events: of any shape, without what belongs to them, for what is not there."""
    bodies = [b"", b"{}", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 1000, "{}".encode("utf-16"), b'{"data": []}',
              b'{"data": [], "fn_index": true, "session_hash": "x"}', b'{"data": {}, "fn_index": 0, "session_hash": 5}',
              b'{"data": [], "fn_index": 99999, "session_hash": "x"}', b'{"fn_index": -1, "session_hash": "\\ud800"}',
              b'{"data": [], "fn_index": 0, "session_hash": "../x", "event_id": {}, "batched": true}',
              b'{"event_id": "\\ud800"}', b'{"event_id": "x", "fn_index": 0, "session_hash": "x"}',
              b'{"simple_format": true, "data": [], "api_name": "/x", "session_hash": "x"}']  # fmt: skip
    odd = []
    with target.client() as client:
        for way, body in itertools.product(("queue/join", "run/predict", "cancel", "reset"), bodies):
            answer = target.note(client.post(f"{page}gradio_api/{way}", content=body), (way, body))
            if answer.status_code not in (200, 400, 413):
                odd.append(f"{way} {body!r}: {answer.status_code} {answer.text[:200]}")
    return odd


def attack_routes(target: Target, paths: list[str], every: int = 1) -> list[str]:
    """Ask every route by every method, with parts, queries and headers that nobody means."""
    odd = []
    chance = random.Random(every)
    with target.client(follow_redirects=False) as client:
        for path, method in itertools.product(paths, METHODS):
            parts = PARTS if "{" in path else ("",)
            for part, query, headers in itertools.product(parts, QUERIES, HEADERS):
                if chance.random() > 1 / every:
                    continue
                asked = re.sub(r"\{[^}]*\}", part, path) + (f"?{query}" if query else "")
                status = _status(target, client, method, asked, headers)
                if status >= 500:
                    odd.append(f"{method} {asked[:100]} {headers}: {status}")
    return odd


def _status(target: Target, client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> int:
    """Of one answer, of which only the beginning is read where it may never end."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    content = b"--x\r\n" if method in ("POST", "PUT", "PATCH") else None
    try:
        with client.stream(method, path, headers=raw, content=content) as answer:
            if not STREAMS.search(path) or answer.status_code >= 300:
                answer.read()
            else:
                answer._content = next(answer.iter_raw(), b"")
            target.note(answer, (method, path[:100], headers))
            return answer.status_code
    except httpx.TransportError:  # the server hangs up on what is no HTTP
        target.statuses[0] += 1
        return 0


def attack_sizes(target: Target, megabytes: int, at_once: int) -> list[int]:
    """Large bodies at once: some that say how large they are, some that do not, some just within what is taken."""
    large = b'{"fn_index": 0, "session_hash": "x", "data": [' + b"[]," * ((megabytes << 20) // 3) + b"[]]}"
    within = b'{"fn_index": 0, "session_hash": "x", "data": [' + b"[]," * 349_000 + b"[]]}"
    commas = b'{"fn_index": 0, "session_hash": "x", "data": ["' + b'\\"' * 520_000

    def post(number: int) -> int:
        body = (large, within, commas, large)[number % 4]
        pieces = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
        with target.client() as client:
            try:
                answer = client.post("/gradio_api/run/predict", content=pieces if number % 4 == 3 else body)
            except httpx.TransportError:  # answered and closed before all was sent
                target.statuses[413] += 1
                return 413
            return target.note(answer, f"{len(body)} bytes").status_code

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(post, range(at_once * 2)))


def attack_pages(target: Target, at_once: int, sessions: int) -> None:
    """Load pages at once, by many names of the machine, and make up pages that nobody has open."""

    def load(number: int) -> None:
        headers = {"host": f"127.0.0.{number}:{target.port}", "cookie": target.cookie}
        with httpx.Client(base_url=target.served.address, timeout=60, verify=False, headers=headers) as client:
            for path in ("/", "/zh/", "/config", "/zh/config") * 3:
                answer = target.note(client.get(path), path)
                assert answer.status_code == 200, (answer.status_code, answer.text[:200])

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(load, range(1, 1 + 2 * at_once)))
    with target.client() as client:
        events = Events(client)
        copied = events.at("reward-copy", "click")
        for number in range(sessions):
            target.note(events.answered(copied, [None, "# a text\n"], f"made-up-{number}"), "made up")


def slow_clients(target: Target, count: int) -> ExitStack:
    """Connections that begin and never end; close what is returned."""
    held = ExitStack()
    for text in itertools.islice(itertools.cycle(HALVES), count):
        opened = held.enter_context(socket.create_connection(("127.0.0.1", target.port), timeout=10))
        opened.sendall(text.replace("Host:", f"Cookie: {target.cookie}\r\nHost:", 1).encode())
        target.statuses[0] += 1
    return held


def attack(folder: Path, assembled: list[str], *, has_accounts: bool, every: int, at_once: int) -> Target:
    """Attack a studio by all of the above.

    Args:
        folder: an empty one.
        assembled: the paths of all of its routes.
        has_accounts: whether it needs a login; the attacker has one then, and so has no more to gain.
        every: one in so many of what is possible.
        at_once: how many connections hold on, and how many large bodies come together.
    """
    last = ["/logout", "/zh/logout"]  # after which an attacker with an account has none
    paths = [*sorted(set(assembled).difference(["", *last])), "/ui/{path}", "/zh/ui/{path}", "/static/{path}",
             "/assets/{path}", "/gradio_api/file={path}", "/zh/gradio_api/file={path}", "/gradio_api/run/{name}",
             "/{path}", "/zh/{path}"]  # fmt: skip
    with target(folder, has_accounts=has_accounts) as attacked, listener() as (address, fetched):
        with slow_clients(attacked, 4 * at_once):
            for page in ("/", "/zh/"):
                attacked.taken += attack_events(attacked, address, page, every)
                attacked.odd += attack_bodies(attacked, page)
            attacked.odd += attack_routes(attacked, paths, ROUTES_RARER * every)
            attack_sizes(attacked, 14, at_once)
            attack_pages(attacked, at_once, MADE_UP)
            attacked.odd += attack_routes(attacked, last, every)
        attacked.fetched = fetched
    return attacked
