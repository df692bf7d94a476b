"""An export works in a folder of its own, which nobody takes for a run."""

import threading

import pytest

from backend.errors import StudioError
from backend.settings import Workspace
from backend.store.runs import RunStore
from launcher.devices import Device
from launcher.export import export_checkpoint
from launcher.run_manager import RunManager

pytestmark = pytest.mark.torch


def test_the_folder_of_an_export_is_hidden_and_goes(workspace: Workspace, tmp_path) -> None:
    workspace.prepare()
    runs = RunStore(workspace)
    launcher = RunManager(workspace, runs, devices=(Device("cpu:0", "here", 1),))
    before, seen, has_ended = set(workspace.output.iterdir()), set(), threading.Event()

    def watch() -> None:
        while not has_ended.wait(0.05):
            seen.update(set(workspace.output.iterdir()) - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(StudioError, match="nowhere"):
        export_checkpoint(launcher, "nowhere", tmp_path / "merged")
    has_ended.set()
    watcher.join()

    worked_in = [path for path in seen if "studio.db" not in path.name]
    assert len(worked_in) == 1
    assert worked_in[0].name.startswith(".")
    assert not worked_in[0].exists()
    assert runs.leases() == []
    runs.close()
