"""The whole road on real parts: the shipped demo model, real runs, real commands."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.demo.datasets import DEMO_DATASETS, write_rows


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
            for name in ("HOME", "LANG", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "WANDB_API_KEY")
            if name in os.environ
        }
        return kept | {
            "PATH": str(bare),
            "STUDIO_WORKSPACE": str(self.root),
            "TORCH_EXTENSIONS_DIR": str(self.root / "extensions"),
        }

    def studio(self, *words: str, timeout_s: float = 540) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        argv = [sys.executable, "-m", "studio.cli", *words]
        return subprocess.run(
            argv, env=self.environment(), capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start one command and go on."""
        return subprocess.Popen([sys.executable, "-m", "studio.cli", *words], env=self.environment())

    def told(self, *words: str) -> object:
        """Run one command that must succeed, and read what `--json` prints."""
        done = self.studio(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def wait_for_state(self, run_id: str, states: set[str], timeout_s: float = 300) -> dict:
        """Look until the run is in one of `states`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            seen = self.told("runs", "show", run_id)
            if seen["state"] in states:
                return seen
            time.sleep(0.3)
        raise AssertionError(f"{run_id} is {seen['state']}, not one of {states}")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """A folder with data.json and images, as somebody might have it: paint codes of shapes."""
    folder = tmp_path_factory.mktemp("upload") / "codes"
    demo = next(demo for demo in DEMO_DATASETS if demo.name == "paint-codes")
    write_rows(demo, folder)
    return folder


@pytest.fixture(scope="session")
def road(tmp_path_factory, drawn) -> Road:
    """A workspace with one imported dataset."""
    road = Road(tmp_path_factory.mktemp("workspace"))
    imported = road.told("dataset", "import", str(drawn), "--name", "codes", "--heldout-share", "0.2")
    assert imported["statistics"]["rows"] == 1200
    return road
