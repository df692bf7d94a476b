"""What tests of pages share: everything that a page may use, on an empty workspace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import Workspace
from studio.services import Services, build_services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    services = build_services(workspace)
    yield services
    services.runs.close()
