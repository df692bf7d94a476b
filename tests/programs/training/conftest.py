"""One lab for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import Workspace
from tests.programs.training.training_lab import Lab

LAB = pytest.StashKey[Lab]()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A workspace with an untrained model and two datasets: `mixed`, with images and texts, and `plain`."""
    from backend.programs.model.demo_model import make_untrained

    root = tmp_path_factory.mktemp("training")
    make_untrained(root / "untrained", seed=7)
    workspace = Workspace(root)
    workspace.prepare()
    lab = Lab(workspace, root / "untrained")
    lab.dataset("mixed", images=24, texts=8)
    lab.dataset("plain", images=12)
    request.config.stash[LAB] = lab
    yield lab
    lab.end()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Let the lab's processes go with the last test of this folder, not with the session: they hold memory."""
    is_last = nextitem is None or Path(__file__).parent not in nextitem.path.parents
    if is_last and LAB in item.config.stash:
        item.config.stash[LAB].end()
