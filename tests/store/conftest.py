"""A fresh index in a workspace of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import Workspace
from backend.store.runs import RunStore


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[RunStore]:
    opened = RunStore(workspace)
    yield opened
    opened.close()
