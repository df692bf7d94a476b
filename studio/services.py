"""What pages, routes and background work may use, built once; and the demo datasets, drawn once."""

import threading
from dataclasses import dataclass

from backend.datasets.store import DatasetStore
from backend.demo.datasets import prepare_demo_datasets
from backend.settings import Workspace
from backend.store.runs import RunStore
from launcher.chat import ChatPool
from launcher.run_manager import RunManager

PREPARED = ".demo-prepared"  # in data/: demo datasets that were deleted do not come back by themselves


class DemoPreparation:
    """Draws the demo datasets that are missing, in one thread at a time."""

    def __init__(self, workspace: Workspace, datasets: DatasetStore) -> None:
        """Draw nothing yet."""
        self._mark = workspace.data / PREPARED
        self._datasets = datasets
        self._lock = threading.Lock()

    @property
    def is_preparing(self) -> bool:
        """Whether they are being drawn now."""
        return self._lock.locked()

    def prepare_first(self) -> None:
        """Draw them unless that was done before. A cut-off leaves it to the next start. Raises StudioError."""
        if not self._mark.exists():
            self.prepare()
            self._mark.touch()

    def prepare(self) -> None:
        """Draw those that are missing; where that is under way already, wait for its end. Raises StudioError."""
        with self._lock:
            prepare_demo_datasets(self._datasets)


@dataclass(frozen=True, slots=True)
class Services:
    """The stores, the launcher and the models to talk to of one workspace. Safe to use from any thread."""

    workspace: Workspace
    datasets: DatasetStore
    runs: RunStore
    launcher: RunManager
    chats: ChatPool
    demo: DemoPreparation


def build_services(workspace: Workspace) -> Services:
    """Open a workspace whose folders are prepared. Raises StudioError where its index cannot be opened."""
    runs, datasets = RunStore(workspace), DatasetStore(workspace)
    demo = DemoPreparation(workspace, datasets)
    launcher = RunManager(workspace, runs)
    return Services(workspace, datasets, runs, launcher, ChatPool(launcher), demo)
