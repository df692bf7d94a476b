"""A real studio that the tests of a file ask over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from backend.settings import ROOT, Workspace
from studio.serving.demo_preparation import PREPARED
from tests.serving import Served, add_demo, start_serving, stop_serving

ASSEMBLE = """
import json, sys
from pathlib import Path
from backend.settings import Workspace
from studio.services import build_services
from studio.serving.web import create_app

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
print(json.dumps({"modules": modules, "paths": sorted(set(paths(app)))}))
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
