"""The stores and the launcher as commands need them, opened in the default workspace."""

from functools import cache

from backend.datasets.store import DatasetStore
from backend.errors import StudioError
from backend.rewards.store import RewardStore
from backend.settings import Workspace, default_workspace
from backend.store.runs import RunStore
from launcher.run_manager import RunManager


@cache
def workspace() -> Workspace:
    """The default workspace, its folders made. Raises StudioError where the disk refuses."""
    opened = default_workspace()
    try:
        opened.prepare()
    except OSError as error:
        raise StudioError(
            f"The workspace `{opened.root}` cannot be written: {error.strerror}",
            hint="Set STUDIO_WORKSPACE to a folder of your own",
        ) from error
    return opened


@cache
def dataset_store() -> DatasetStore:
    """The datasets."""
    return DatasetStore(workspace())


@cache
def reward_store() -> RewardStore:
    """The rewards."""
    return RewardStore(workspace())


@cache
def run_store() -> RunStore:
    """The index of runs."""
    return RunStore(workspace())


@cache
def launcher() -> RunManager:
    """What starts and stops runs."""
    return RunManager(workspace(), run_store())
