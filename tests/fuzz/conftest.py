"""Each test's own workspace, within a folder of which nothing else may change."""

from pathlib import Path

import pytest

from backend.settings import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "around" / "workspace")
    made.prepare()
    (made.root.parent / "secret.json").write_text("[]")
    return made
