"""A studio to be attacked, as a child process, and what is counted while it is: of all of it there should be none."""

import contextlib
import json
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from backend.settings import ROOT, Workspace
from studio.services import PREPARED
from studio.web.account_file import AccountFile
from tests.serving import Served, add_demo, start_serving, stop_serving

SECRET = "nobody-may-ever-read-this-line"
NAME, PASSWORD = "ann", "four words of rain"
LONGEST_S = 0.3  # that `/healthz` may take meanwhile
MOST_GROWTH = 100 << 20  # bytes of memory over all attacks
PATHS = rb"/proc/|site-packages|root:x:0|\.uploads"
IGNORED = re.compile(r"studio\.(db(-wal|-shm)?|log|lock)|sessions\.json|audit\.jsonl")
# asks every 20 ms from a process of its own, and tells the seconds of each answer once its input ends
WATCH = """
import http.client, json, select, sys, time
port, took = int(sys.argv[1]), []
while not select.select([sys.stdin], [], [], 0.02)[0]:
    begun = time.monotonic()
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    asking.request("GET", "/healthz")
    assert asking.getresponse().status == 200
    asking.close()
    took.append(time.monotonic() - begun)
print(json.dumps(took))
"""


# a server that does nothing else, asked at the same time: what it takes is the machine's and not the studio's
CONTROL = """
import asyncio
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n")
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass
class Target:
    """A running studio with everything that an attack may show."""

    served: Served
    secret: Path
    cookies: dict[str, str]
    statuses: Counter[int] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)  # what should have been refused
    odd: list[str] = field(default_factory=list)  # what was answered as nobody expects
    fetched: list[bytes] = field(default_factory=list)  # by the server, from an address that an attacker named
    idle_s: float = 0.0
    longest_s: float = 0.0
    control_s: float = 0.0  # the longest that another server took, which nobody attacked
    grown: int = 0
    faults: list[str] = field(default_factory=list)  # tracebacks in its log
    new_files: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    @property
    def refused(self) -> int:
        return sum(count for status, count in self.statuses.items() if 400 <= status < 500)

    @property
    def errors(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def port(self) -> int:
        return int(self.served.address.rsplit(":", 1)[1])

    @property
    def cookie(self) -> str:
        """The head's line, for requests under a name that a client would keep the cookies from."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def client(self, **more: object) -> httpx.Client:
        return httpx.Client(base_url=self.served.address, timeout=60, verify=False, cookies=self.cookies, **more)

    def note(self, answer: httpx.Response, about: object) -> httpx.Response:
        """Count an answer, and look whether it tells what it should not."""
        self.statuses[answer.status_code] += 1
        told = answer.content + repr(answer.headers).encode()
        root = re.escape(str(self.served.workspace.root).encode())
        for found in re.finditer(rb"%s|%s|%s|Traceback" % (SECRET.encode(), root, PATHS), told):
            self.leaks.append(f"{about}: {told[max(0, found.start() - 200) : found.end() + 100]!r}")
        return answer


@contextlib.contextmanager
def target(folder: Path, *, has_accounts: bool) -> Iterator[Target]:
    """Start one, and hold everything against it that was seen once this ends."""
    workspace = Workspace(folder / "work")
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    add_demo(workspace, folder / "rows", ("shapes",))
    if has_accounts:
        AccountFile(workspace).add(NAME, PASSWORD)
    served = start_serving(workspace)
    try:
        attacked = Target(served, secret, _cookies(served, has_accounts=has_accounts))
        with attacked.client() as warm:
            for path in ("/", "/zh/", "/config"):
                assert warm.get(path).status_code == 200
        with _watched(attacked):
            yield attacked
    finally:
        stop_serving(served)


def _cookies(served: Served, *, has_accounts: bool) -> dict[str, str]:
    with httpx.Client(base_url=served.address, timeout=60, verify=False) as client:
        if has_accounts:
            assert client.post("/login", data={"name": NAME, "password": PASSWORD}).status_code == 303
        assert client.get("/").status_code == 200
        return dict(client.cookies)


@contextlib.contextmanager
def _watched(attacked: Target) -> Iterator[None]:
    workspace, log = attacked.served.workspace, attacked.served.workspace.root / "studio.log"
    process = psutil.Process(attacked.served.process.pid)
    with _asking(attacked.port) as idle:
        time.sleep(1.5)
    attacked.idle_s = statistics.median(idle)
    before, files, read = process.memory_info().rss, _files(workspace), log.stat().st_size
    with subprocess.Popen([sys.executable, "-c", CONTROL], stdout=subprocess.PIPE, text=True) as control:
        assert control.stdout is not None
        with _asking(attacked.port) as waits, _asking(int(control.stdout.readline())) as others:
            yield
        control.kill()
    attacked.longest_s, attacked.control_s = max(waits), max(others)
    attacked.grown = process.memory_info().rss - before
    attacked.faults = log.read_text(errors="replace")[read:].split("Traceback (most recent call last)")[1:]
    attacked.new_files = sorted(_files(workspace) - files)


@contextlib.contextmanager
def _asking(port: int) -> Iterator[list[float]]:
    """The seconds that `/healthz` took meanwhile, there once this ends."""
    waits: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-c", WATCH, str(port)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield waits
        told, _ = process.communicate(timeout=300)
    waits += json.loads(told)


def _files(workspace: Workspace) -> set[str]:
    paths = {path for path in workspace.root.rglob("*") if path.is_file()}
    return {str(path.relative_to(workspace.root)) for path in paths if not IGNORED.fullmatch(path.name)}


@contextlib.contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """An address that an attacked server should never ask, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listening.accept()
                    asked.append(connection.recv(100))
                    connection.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/secret.png", asked
        ended.set()
        thread.join()
