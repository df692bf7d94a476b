"""Real studios that the tests of a file ask over HTTP: an open one, and one with an account, as behind a proxy."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from backend.settings import ROOT, Workspace
from studio.services import PREPARED
from studio.web.account_file import AccountFile
from tests.serving import Served, add_demo, free_port, start_serving, stop_serving

ASSEMBLE = """
import json, sys
from pathlib import Path
from backend.settings import Workspace
from studio.ui.i18n import translator
from studio.services import build_services
from studio.web.event_values import fitting
from studio.web.app_factory import create_app

def paths(routed, above=""):
    for route in getattr(routed, "routes", []):
        inner = getattr(route, "app", None) or getattr(route, "original_router", None) or getattr(route, "router", None)
        prefix = getattr(getattr(route, "include_context", None), "prefix", "")
        path = above + (getattr(route, "path", "") or prefix or "")
        if getattr(inner, "routes", None):
            yield from paths(inner, path)
        elif path:
            yield path

workspace = Workspace(Path(sys.argv[1]))
workspace.prepare()
app = create_app(build_services(workspace))
modules = sorted(sys.modules)
pages = [route.app.get_blocks() for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks")]
queued = [page._queue.max_size for page in pages]
kept = [page.state_holder.capacity for page in pages]
inputs = {component for page in pages for event in page.fns.values() for component in event.inputs}
refused = []
for component in inputs:
    try:
        fitting(component, component, getattr(component, "minimum", None), {}.get, translator("en"))
    except Exception as error:
        refused.append(f"{component}: {error}")
print(json.dumps({"inputs": len(inputs), "refused": refused, "modules": modules, "paths": sorted(set(paths(app))),
                  "queued": queued, "kept": kept, "launched": [page.has_launched for page in pages]}))
"""


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all files; it holds the dataset `shapes`."""
    workspace = Workspace(tmp_path_factory.mktemp("studio"))
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    add_demo(workspace, tmp_path_factory.mktemp("rows"), ("shapes",))
    served = start_serving(workspace)
    yield served
    stop_serving(served)


@pytest.fixture(scope="session")
def assembled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a process holds that has put the app together: its modules, and the app's routes."""
    argv = [sys.executable, "-c", ASSEMBLE, str(tmp_path_factory.mktemp("assembled"))]
    return json.loads(subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)


@pytest.fixture
def ask(studio: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=studio.address, timeout=20, verify=False) as client:  # no time for certificates
        yield client


NAME, PASSWORD = "ann", "four words of rain"
PREFIX, PUBLIC = "/studio", "studio.example.com"
MOST_UPLOAD = 2 << 20  # bytes that one upload may send to the studio with accounts
SECRET = "hf_thisIsNoRealTokenAtAll"  # in the environment of the studio with accounts


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One with the account `ann`, started as from a shell, in a home of its own; it holds the dataset `shapes`."""
    home = tmp_path_factory.mktemp("home")
    workspace = Workspace(home / "work")
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    add_demo(workspace, tmp_path_factory.mktemp("locked-rows"), ("shapes",))
    AccountFile(workspace).add(NAME, PASSWORD)
    argv = [sys.executable, "-m", "studio.cli", "ui", "--port", str(free_port()), "--workspace", str(workspace.root),
            "--root-path", PREFIX, "--allow-host", PUBLIC, "--max-upload-gb", str(MOST_UPLOAD / 1024**3)]  # fmt: skip
    environment = os.environ | {"HOME": str(home), "HF_TOKEN": SECRET}
    with (workspace.root / "studio.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, env=environment)
    assert process.stdout is not None
    found = re.search(rf"(http://127\.0\.0\.1:\d+){PREFIX}/", process.stdout.readline().decode())
    assert found, (workspace.root / "studio.log").read_text()
    served = Served(found[1], workspace, process)
    yield served
    stop_serving(served)


@pytest.fixture
def stranger(locked: Served) -> Iterator[httpx.Client]:
    """Nobody, asking the studio with accounts as its proxy does."""
    with httpx.Client(base_url=locked.address, timeout=20, verify=False) as client:
        yield client


@pytest.fixture(scope="session")
def logged_in(locked: Served) -> dict[str, str]:
    """The cookie of `ann`, for tests that need not log in themselves."""
    with httpx.Client(base_url=locked.address, timeout=20, verify=False) as client:
        answer = client.post("/login", data={"name": NAME, "password": PASSWORD})
        assert answer.status_code == 303
        return {name: value for name, value in client.cookies.items()}


@pytest.fixture
def member(locked: Served, logged_in: dict[str, str]) -> Iterator[httpx.Client]:
    """`ann`, likewise."""
    with httpx.Client(base_url=locked.address, timeout=20, verify=False, cookies=logged_in) as client:
        yield client
