"""The warm server as a test session starts, finds and ends it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from backend.settings import ROOT

PREFIX = "studio-warm-"


class WarmServer:
    """A server for this session and all that it starts. It imports nothing before somebody asks."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        shutil.copy(Path(__file__).with_name("sitecustomize.py"), self._folder)
        self._log = self._folder / "server.log"
        environment = os.environ | {
            "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }  # fmt: skip
        with self._log.open("wb") as log, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._folder / "socket"))
            listener.listen(128)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm.server", str(listener.fileno())],
                cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                pass_fds=(listener.fileno(),),
            )  # fmt: skip
        os.environ["PYTHONPATH"] = os.pathsep.join((str(self._folder), str(ROOT), *_others()))

    def end(self) -> None:
        """End it with every fork that still runs."""
        self._process.communicate()
        if self._process.returncode:
            print(self._log.read_text())
        shutil.rmtree(self._folder, ignore_errors=True)
        os.environ["PYTHONPATH"] = os.pathsep.join(_others())


def warm_up() -> None:
    """Let it import now, beside the tests that come first."""
    for folder in _folders():
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(folder / "socket"))


def _folders() -> list[Path]:
    return [Path(each) for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if PREFIX in each]


def _others() -> list[str]:
    return [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each and PREFIX not in each]
