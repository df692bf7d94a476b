"""What tabs and routes may use, built once and handed in."""

from dataclasses import dataclass

from backend.datasets.store import DatasetStore
from backend.settings import Workspace
from backend.store.runs import RunStore
from launcher.chat import ChatPool
from launcher.supervisor import Launcher
from studio.serving.demo_preparation import DemoPreparation


@dataclass(frozen=True, slots=True)
class Services:
    """The stores, the launcher and the models to talk to of one workspace. Safe to use from any thread."""

    workspace: Workspace
    datasets: DatasetStore
    runs: RunStore
    launcher: Launcher
    chats: ChatPool
    demo: DemoPreparation


def build_services(workspace: Workspace) -> Services:
    """Open a workspace whose folders are prepared. Raises StudioError where its index cannot be opened."""
    runs, datasets = RunStore(workspace), DatasetStore(workspace)
    demo = DemoPreparation(workspace, datasets)
    launcher = Launcher(workspace, runs)
    return Services(workspace, datasets, runs, launcher, ChatPool(launcher), demo)
