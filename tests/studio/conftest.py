"""A real studio that the tests of a file ask over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from backend.settings import Workspace
from studio.serving.demo_preparation import PREPARED
from tests.serving import Served, add_demo, start_serving, stop_serving


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


@pytest.fixture
def ask(studio: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=studio.address, timeout=20) as client:
        yield client
