"""A store in a workspace of its own, and a guard: importing never talks to the network."""

import socket
from pathlib import Path

import pytest

from backend.datasets.store import DatasetStore
from backend.settings import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / "workspace")
    made.prepare()
    return made


@pytest.fixture
def store(workspace: Workspace) -> DatasetStore:
    return DatasetStore(workspace)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise AssertionError(f"an import connected to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
