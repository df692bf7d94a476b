"""A real studio on a free loopback port, for tests that ask it from outside."""

import json
import random
import re
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.datasets import DEMO_DATASETS, write_rows
from backend.settings import ROOT, Workspace

SERVE = (
    "import sys; from pathlib import Path; "
    "from backend.settings import Workspace; from studio.web.server import serve; "
)
ROWS = 24  # of each dataset
EASY_CODES = ("RX-15", "BK-40", "OZ-28")


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel hands to connections: it stays free for a while."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


@dataclass
class Served:
    """A running web process and its workspace."""

    address: str
    workspace: Workspace
    process: subprocess.Popen[bytes]

    @property
    def datasets(self) -> DatasetStore:
        return DatasetStore(self.workspace)


def kept_file(workspace: Workspace, name: str) -> Path:
    """Where an uploaded file lies that its visitor calls `name`: `own/<digest>/<its name>`."""
    found, *_ = workspace.uploads.glob(f"of-*/{name.removeprefix('own/')}")
    return found


def start_serving(workspace: Workspace) -> Served:
    """Start the real thing; its first line says where it listens."""
    code = f"{SERVE} serve(Workspace(Path(sys.argv[1])), port=0)"
    log = (workspace.root / "studio.log").open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(workspace.root)], cwd=ROOT, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    found = re.search(rb"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert found, (workspace.root / "studio.log").read_text()
    return Served(found[0].decode(), workspace, process)


def stop_serving(served: Served) -> None:
    served.process.terminate()
    try:
        served.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        served.process.kill()
        served.process.wait()
    assert served.process.stdout is not None
    served.process.stdout.close()


def add_demo(workspace: Workspace, folder: Path, names: tuple[str, ...]) -> None:
    """Import a few rows of some demo datasets, as the first start would import all of all."""
    for demo in DEMO_DATASETS:
        if demo.name in names:
            small = replace(demo, rows=ROWS)
            write_rows(small, folder / demo.name)
            DatasetStore(workspace).import_dataset(folder / demo.name, ImportOptions(name=demo.name), None)


def write_easy_codes(rows: int, folder: Path) -> None:
    """Paint codes of single shapes in three colours: what the shipped model was never told, learned in 50 steps."""
    codes = next(demo for demo in DEMO_DATASETS if demo.name == "paint-codes")
    path = write_rows(replace(codes, rows=3 * rows, max_shapes=1), folder)
    easy = [row for row in json.loads(path.read_text()) if row["conversations"][1]["value"] in EASY_CODES][:rows]
    path.write_text(json.dumps(easy, ensure_ascii=False))
    for image in (folder / "images").iterdir():
        if f"images/{image.name}" not in {row["image"] for row in easy}:
            image.unlink()
