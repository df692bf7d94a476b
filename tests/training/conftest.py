"""One lab for all tests of this folder."""

import pytest

from backend.settings import Workspace
from tests.training.training_lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Lab:
    """A workspace with an untrained model and two datasets: `mixed`, with pictures and texts, and `plain`."""
    from backend.model.demo_model import make_untrained

    root = tmp_path_factory.mktemp("training")
    make_untrained(root / "untrained", seed=7)
    workspace = Workspace(root)
    workspace.prepare()
    lab = Lab(workspace, root / "untrained")
    lab.dataset("mixed", pictures=24, texts=8)
    lab.dataset("plain", pictures=12)
    return lab
