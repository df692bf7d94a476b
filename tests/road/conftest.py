"""The whole road on real parts: the shipped demo model, real runs, real commands."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner, Result

from studio.cli import context
from studio.cli.main import app
from tests.serving import write_easy_codes

DOORS = (context.workspace, context.dataset_store, context.reward_store, context.run_store, context.launcher)


@dataclass(frozen=True)
class Road:
    """A workspace and the command line in it, on a PATH without a compiler and with empty caches."""

    root: Path

    def environment(self) -> dict[str, str]:
        """What a person's shell would have on a fresh machine."""
        bare = self.root / "bin"
        bare.mkdir(exist_ok=True)
        kept = {
            name: os.environ[name]
            for name in ("HOME", "LANG", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PYTHONPATH", "WANDB_API_KEY")
            if name in os.environ
        }
        return kept | {
            "PATH": str(bare),
            "STUDIO_WORKSPACE": str(self.root),
            "TORCH_EXTENSIONS_DIR": str(self.root / "extensions"),
        }

    def studio(self, *words: str, timeout_s: float = 540) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, in a process of its own as a person does, and all that it starts likewise."""
        argv = [sys.executable, "-m", "studio.cli", *words]
        bare = {name: value for name, value in self.environment().items() if name != "PYTHONPATH"}
        return subprocess.run(argv, env=bare, capture_output=True, text=True, timeout=timeout_s, check=False)

    def result_cold(self, *words: str) -> object:
        """What `--json` prints of such a command, which must succeed: its program imports everything itself."""
        done = self.studio(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def command(self, *words: str) -> Result:
        """The same in this process, which need not start first; programs that it starts are started as ever."""
        with mock.patch.dict(os.environ, self.environment(), clear=True), opened_anew():
            return CliRunner().invoke(app, words)

    def result(self, *words: str) -> object:
        """Give one command that must succeed, and read what `--json` prints."""
        done = self.command(*words, "--json")
        assert done.exit_code == 0, (done.stderr, done.exception)
        return json.loads(done.stdout)

    def wait_for_state(self, run_id: str, states: set[str], timeout_s: float = 300) -> dict:
        """Look until the run is in one of `states`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            run = self.result("runs", "show", run_id)
            if run["state"] in states:
                return run
            time.sleep(0.3)
        raise AssertionError(f"{run_id} is {run['state']}, not one of {states}")


@contextmanager
def opened_anew() -> Iterator[None]:
    """Open the stores as a new process would, and close them as its end would."""
    for door in DOORS:
        door.cache_clear()
    try:
        yield
    finally:
        if context.run_store.cache_info().currsize:
            context.run_store().close()
        for door in DOORS:
            door.cache_clear()


@pytest.fixture(scope="session")
def upload_folder(tmp_path_factory) -> Path:
    """A folder with data.json and images, as somebody might have it: paint codes of single shapes, soon learned."""
    folder = tmp_path_factory.mktemp("upload") / "codes"
    write_easy_codes(180, folder)
    return folder


@pytest.fixture(scope="session")
def road(tmp_path_factory, upload_folder) -> Road:
    """A workspace with one imported dataset."""
    road = Road(tmp_path_factory.mktemp("workspace"))
    imported = road.result("dataset", "import", str(upload_folder), "--name", "codes", "--validation-share", "0.2")
    assert imported["statistics"]["rows"] == 180
    return road
