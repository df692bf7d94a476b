"""How long an import takes, and how much memory: 200,000 rows that share 100 images, and a zip of 5,000 images.

python -m tests.benchmarks.measure_import [--short] [--write]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import Workspace
from tests.datasets.dataset_lab import image_bytes
from tests.scripts.readme import machine, write_section


def main() -> None:
    """Import each upload in a process of its own, so that memory is its own too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a hundredth of it")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(imported(args.one)))
        return
    size = 100 if args.short else 1
    lines = [
        "| upload | rows | images | seconds | CPU seconds | memory, MB | told how far it is |",
        "|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="measure-") as folder:
        root = Path(folder)
        for title, source in (
            ("JSON lines that share images", shared(root / "shared", 200_000 // size)),
            ("a zip of images", zipped(root / "images.zip", 5_000 // size)),
        ):
            argv = [sys.executable, "-m", "tests.benchmarks.measure_import", "--one", str(source)]
            figures = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
            cells = (f"{figures[name]:,}" for name in ("rows", "images", "seconds", "cpu", "memory", "reports"))
            lines.append(f"| {title} | {' | '.join(cells)} times |")
    text = "\n".join([*lines, "", f"`python -m tests.benchmarks.measure_import --write` on {machine()}."])
    print(text)
    if args.write:
        write_section("measured:import", text)


def imported(source: Path) -> dict[str, float]:
    """Import one upload into a new workspace."""
    reports: list[float] = []
    with tempfile.TemporaryDirectory(prefix="measure-") as folder:
        begun = time.monotonic()
        report = DatasetStore(Workspace(Path(folder))).import_dataset(
            source, ImportOptions(name="measured"), lambda share, _: reports.append(share)
        )
        seconds = time.monotonic() - begun
    counts = report.manifest.statistics
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    return {
        "rows": counts.rows, "images": counts.images, "seconds": round(seconds, 1), "cpu": round(cpu, 1),
        "memory": used[0].ru_maxrss // 1024, "reports": len(reports),
    }  # fmt: skip


def shared(folder: Path, rows: int) -> Path:
    """A folder with so many rows about 100 images."""
    (folder / "images").mkdir(parents=True)
    for number in range(100):
        (folder / f"images/{number}.png").write_bytes(image_bytes((200, 150), color=(number, 2, 3)))
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as sink:
        for number in range(rows):
            turns = [{"from": "human", "value": f"<image>\nWhat is {number}?"}, {"from": "gpt", "value": f"{number}"}]
            sink.write(json.dumps({"image": f"images/{number % 100}.png", "conversations": turns}) + "\n")
    return folder


def zipped(path: Path, images: int) -> Path:
    """A zip with so many images of 640 x 480 px and a row about each."""
    with zipfile.ZipFile(path, "w") as target:
        rows = []
        for number in range(images):
            colour = (number % 256, number // 256, 9)
            target.writestr(f"images/{number}.jpg", image_bytes((640, 480), color=colour, kind="JPEG"))
            rows.append({"image": f"images/{number}.jpg", "question": "What?", "answer": f"Thing {number}"})
        target.writestr("rows.json", json.dumps(rows))
    return path


if __name__ == "__main__":
    main()
