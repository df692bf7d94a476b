"""Start the studio and give commands on a full and on a read-only disk: `unshare -Urm ... python THIS DISK`.

DISK is a small tmpfs that nobody else writes to. Prints a JSON line for each: what it was, its exit code, what it said.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.faults.full_disk import Disk
from tests.serving import free_port

PAGE_BYTES = 4096
COMMANDS = {
    "a reward": ("reward", "compose", "mine", "--part", "exact_match:1"),
    "an account": ("user", "add", "ann", "--make"),
}


def tell(label: str, argv: tuple[str, ...], workspace: Path) -> None:
    """Run one command; a web app that has started is interrupted as by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "studio.cli", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"STUDIO_WORKSPACE": str(workspace)},
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    if first.startswith("VL Studio on"):
        answered(first.split()[3])
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    print(json.dumps([label, process.returncode, first + errors]), flush=True)


def answered(address: str) -> None:
    """Wait until it serves: an interrupt before that meets it while it is still being put together."""
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(f"{address}healthz", timeout=5):
            return
        time.sleep(0.1)


def start(label: str, workspace: Path) -> None:
    """`studio ui`."""
    tell(label, ("ui", "--workspace", str(workspace), "--port", str(free_port())), workspace)


def main() -> None:
    """Try them all on the disk that is named."""
    root = Path(sys.argv[1])
    disk, workspace = Disk(root), root / "workspace"
    for pages in (0, 5):  # none for the lock, not enough for the index
        disk.fill()
        os.truncate(disk.filler, disk.filler.stat().st_size - pages * PAGE_BYTES)
        start(f"new, {pages} pages free", workspace)
        disk.free()
        shutil.rmtree(workspace)
    start("new, enough room", workspace)
    with disk.full():
        start("full", workspace)
        for name, argv in COMMANDS.items():
            tell(f"full: {name}", argv, workspace)
    subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
    start("read-only", workspace)
    start("new, read-only", root / "other")
    for name, argv in COMMANDS.items():
        tell(f"read-only: {name}", argv, workspace)


if __name__ == "__main__":
    main()
