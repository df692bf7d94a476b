"""A workspace as full as a busy group would have it: many runs, some of very many steps, a dataset of many rows."""

import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.datasets.store import DatasetStore, ImportOptions
from backend.ids import RunId
from backend.recipes.library import load_recipe
from backend.runs.folder import ExitRecord
from backend.settings import ROOT, Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from launcher.devices import Device
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager
from studio.services import PREPARED

LONG_RUNS = tuple(f"20260101-000000-long-{number}" for number in range(5))
DATASET = "many-rows"
IMAGES = 240
WRITERS = 4
LINES_PER_S = 5  # of each writer, as a trainer of short steps writes them
FAKE = ROOT / "tests" / "fakes" / "fake_trainer.py"
SEARCHED = "brass 4217"  # stands in one row


@dataclass(frozen=True)
class Size:
    """How full it is."""

    runs: int
    points: int  # of each of the long runs
    rows: int


@dataclass(frozen=True)
class Taken:
    """How long it took to take all that in."""

    index_s: float
    import_s: float
    others_waited_ms: float  # 95 of 100 other writers' waits meanwhile


def fill(workspace: Workspace, size: Size) -> Taken:
    """Write the run folders, take them into the index, and import the dataset."""
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    for number in range(size.runs - len(LONG_RUNS)):
        write_run(workspace, number)
    for name in LONG_RUNS:
        write_long_run(workspace, name, size.points)
    begun = time.monotonic()
    waited_ms = take_in(workspace)
    index_s, begun = time.monotonic() - begun, time.monotonic()
    source = write_upload(workspace.root / "upload", size.rows)
    begun = time.monotonic()
    DatasetStore(workspace).import_dataset(source, ImportOptions(name=DATASET))
    return Taken(index_s, time.monotonic() - begun, waited_ms)


def write_run(workspace: Workspace, number: int) -> Path:
    """The folder of a short run that is over; every third has a model to talk to."""
    state = ("finished", "finished", "finished", "stopped", "failed")[number % 5]
    folder = workspace.output / f"20260101-{number // 60:04d}{number % 60:02d}-short-{number}"
    folder.mkdir()
    write_events(folder / "events.jsonl", 20)
    (folder / "log.txt").write_text("".join(f"step {step}: all is well\n" for step in range(20)))
    if number % 3 == 0:
        (folder / "final_model").mkdir()
        record = {"kind": "adapter", "base": "demo", "strategy": "lora", "step": 20, "min_pixels": 3136,
                  "max_pixels": 12544, "sizes": {}}  # fmt: skip
        (folder / "final_model" / "complete.json").write_text(json.dumps(record))
    write_end(folder, state, f"short {number}")
    return folder


def write_long_run(workspace: Workspace, name: str, points: int) -> None:
    """The folder of a run of very many steps."""
    folder = workspace.output / name
    folder.mkdir()
    write_events(folder / "events.jsonl", points)
    (folder / "log.txt").write_text("done\n")
    write_end(folder, "finished", f"very {name[-6:]}")


def write_events(path: Path, points: int) -> None:
    """A line for each step, as `EventWriter` writes it."""
    line = '{"v":1,"seq":%d,"t":%.3f,"kind":"metric","step":%d,"values":{"loss":%.6f}}\n'
    with path.open("w") as sink:
        for step in range(1, points + 1):
            sink.write(line % (step, 1_790_000_000 + step, step, 2 / step**0.5 + (step * 7919 % 1000) / 5000))


def write_end(folder: Path, state: str, name: str) -> None:
    """How it ended, then the spec: only with it the folder is a run's."""
    record = ExitRecord(raw_status=0, exit_code=0, signal=None, duration_s=60.0, peak_memory_bytes=0, state=state,
                        reason="" if state == "finished" else "It was cut", hint="", ended_at=time.time())  # fmt: skip
    (folder / "exit.json").write_text(record.model_dump_json())
    spec = load_recipe("lora").spec.with_values({"name": name, "data.datasets": [{"name": DATASET}]})
    (folder / "spec.json").write_text(spec.model_dump_json())


def take_in(workspace: Workspace) -> float:
    """Rebuild the index from the folders, while somebody else wants to write too; that one's waits in milliseconds."""
    store, other = RunStore(workspace), RunStore(workspace)
    taking = threading.Thread(target=store.rebuild)
    waits_ms = []
    taking.start()
    while taking.is_alive():
        begun = time.monotonic()
        other.transition(RunId("nobody"), "running", ("starting",))
        waits_ms.append(1000 * (time.monotonic() - begun))
        time.sleep(0.05)
    store.close()
    other.close()
    return statistics.quantiles(waits_ms, n=20)[-1] if len(waits_ms) > 1 else 0.0


def write_upload(folder: Path, rows: int) -> Path:
    """A dataset as people bring it: rows that share some images."""
    (folder / "images").mkdir(parents=True)
    for number in range(IMAGES):
        Image.new("RGB", (84, 56), (number, 255 - number, number * 7 % 256)).save(folder / "images" / f"{number}.png")
    with (folder / "data.jsonl").open("w") as sink:
        for number in range(rows):
            words = SEARCHED if number == rows // 2 else f"tin {number}"
            turns = [{"from": "human", "value": f"<image>\nWhich code does part {number} carry?"},
                     {"from": "gpt", "value": f"It carries the code {words}."}]  # fmt: skip
            sink.write(json.dumps({"image": f"images/{number % IMAGES}.png", "conversations": turns}) + "\n")
    return folder


def start_writers(workspace: Workspace) -> RunManager:
    """Start runs whose programs write like trainers, through the real launcher; `stop_writers` ends them."""
    pause_s = 2 / LINES_PER_S  # two lines a step
    program = (sys.executable, str(FAKE), "--steps", "1000000", "--pause", str(pause_s))
    devices = tuple(Device(f"cpu:{number}", "measured", 1) for number in range(WRITERS))
    launcher = RunManager(workspace, RunStore(workspace), KeeperSettings(program=program, now_grace_s=10), devices)
    for number in range(WRITERS):
        launcher.submit(RunSpec(name=f"writer {number}"))
    return launcher


def stop_writers(launcher: RunManager) -> None:
    """End them, and wait until all are over."""
    active = [run.id for run in launcher.runs.views(50, states=("queued", "starting", "running", "stopping"))]
    for run_id in active:
        launcher.stop(run_id, "now")
    for run_id in active:
        assert launcher.wait(run_id).state == "stopped"
    launcher.runs.close()
