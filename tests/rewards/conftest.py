"""No test of rewards leaves a process or a folder of a worker behind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folders = tmp_path / "temporary"
    folders.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folders))
    yield
    assert list(folders.iterdir()) == []
    assert [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and lives_in(folders, entry)] == []


def lives_in(folders: Path, process: Path) -> bool:
    """A worker has its folder from its environment, and so has what it starts."""
    try:
        return bytes(folders) in (process / "environ").read_bytes()
    except OSError:
        return False
