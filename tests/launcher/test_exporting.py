"""An export works in a folder of its own, which nobody takes for a run."""

import threading

import pytest

from backend.errors import StudioError
from backend.settings import Workspace
from launcher.exporting import export_checkpoint

pytestmark = pytest.mark.torch


def test_the_folder_of_an_export_is_hidden_and_goes(workspace: Workspace, tmp_path) -> None:
    workspace.prepare()
    before, seen, has_ended = set(workspace.output.iterdir()), set(), threading.Event()

    def watch() -> None:
        while not has_ended.wait(0.05):
            seen.update(set(workspace.output.iterdir()) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(StudioError, match="nowhere"):
        export_checkpoint(workspace, "nowhere", tmp_path / "merged")
    has_ended.set()
    watcher.join()

    assert len(seen) == 1
    assert all(path.name.startswith(".") and not path.exists() for path in seen)
