"""A workspace, and a door to what a person may name in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.catalog.checkpoints import resolve_checkpoint
from backend.errors import CheckpointError
from backend.settings import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "workspace")
    made.prepare()
    return made


@pytest.fixture
def refused(workspace: Workspace) -> Callable[[Path], str]:
    """Why a folder is not taken, with what to do about it; it has to be refused."""

    def why(folder: Path) -> str:
        with pytest.raises(CheckpointError) as caught:
            resolve_checkpoint(str(folder), workspace)
        assert caught.value.hint
        return f"{caught.value.message} {caught.value.hint}"

    return why
