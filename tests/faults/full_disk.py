"""Fill the disk under every writer, one after the other: `unshare -Urm ... python -m tests.faults.full_disk DISK`.

DISK is a small tmpfs that nobody else writes to. Prints a JSON line for each writer: what it said when the disk was
full, whether everything earlier was still whole, and whether the same act succeeded once there was space again.
"""

import errno
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from backend.audit import FILE as AUDIT
from backend.audit import audit
from backend.conversation import Message
from backend.datasets.store import DatasetStore, Edits, ImportOptions
from backend.demo.datasets import DEMO_DATASETS, write_rows
from backend.errors import StudioError
from backend.jsonl import all_lines
from backend.rewards.store import RewardStore
from backend.runs.events import EventWriter, read_events
from backend.runs.folder import ExitRecord, read_record
from backend.settings import ROOT, Workspace
from backend.spec.run import RunSpec
from backend.spec.sampling import ChatSettings
from backend.store.runs import RunStore
from launcher.devices import Device
from launcher.keeper_settings import KeeperSettings
from launcher.run_manager import RunManager
from studio.pages.playground.storage import (
    BlindVoteRecord,
    ColumnRecord,
    TalkId,
    TalkPlace,
    TalkRecord,
    TalkStore,
    VoteId,
    VoteRecord,
    VoteStore,
    new_id,
)
from studio.services import PREPARED

DISK_MB = 3
TRIES = 2_000  # a full disk still has room in the last page of a file
FAKE = ROOT / "tests" / "fakes" / "fake_trainer.py"
REWARD = "def reward(completions, **columns):\n    return [{0} for _ in completions]\n"


@dataclass(frozen=True)
class Trial:
    """What one writer did."""

    writer: str
    message: str  # empty: it passes over what it cannot write, by design
    is_intact: bool
    works_again: bool


class Disk:
    """A tmpfs that can be filled to its last page."""

    def __init__(self, root: Path) -> None:
        self.filler = root / "filler"

    def fill(self) -> None:
        with self.filler.open("wb", buffering=0) as sink:
            for size in (65536, 4096, 1):
                try:
                    while sink.write(b"x" * size) == size:
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC  # noqa: PT017 - that is what it is for

    def free(self) -> None:
        self.filler.unlink()

    @contextmanager
    def full(self):
        self.fill()
        try:
            yield
        finally:
            self.free()


class Trials:
    """Every writer of the studio that needs no torch."""

    def __init__(self, root: Path) -> None:
        self.disk, self.workspace = Disk(root), Workspace(root / "workspace")
        self.workspace.prepare()
        (self.workspace.data / PREPARED).touch()
        self.uploads = Path(tempfile.mkdtemp(prefix="uploads-", dir=root.parent))
        self.datasets = DatasetStore(self.workspace)
        self.datasets.import_dataset(self._upload("first"), ImportOptions(name="first"))
        program = (sys.executable, str(FAKE), "--steps", "4000", "--pause", "0.02")
        self.settings = KeeperSettings(program=program, poll_s=0.05, now_grace_s=5, term_s=1)
        self.launcher = RunManager(
            self.workspace, RunStore(self.workspace), self.settings, (Device("cpu:0", "measured", 1),)
        )

    def all(self) -> list[Trial]:
        return [
            self.dataset_import(), self.dataset_edit(), self.index(), self.events(), self.reward(), self.kept_talk(),
            self.vote(), self.audit(), self.new_run(), self.run_at_work(),
        ]  # fmt: skip

    def close(self) -> None:
        self.launcher.runs.close()
        shutil.rmtree(self.uploads)

    def dataset_import(self) -> Trial:
        source = self._upload("second")
        return self._try(
            "dataset import", lambda: self.datasets.import_dataset(source, ImportOptions(name="second")),
            lambda: self.datasets.names() == ["first"] and not self.datasets.check("first") and self._is_swept(),
            lambda: not self.datasets.check("second"),
        )  # fmt: skip

    def dataset_edit(self) -> Trial:
        row, before = next(iter(self.datasets.rows("first"))), self.datasets.get("first").sha256

        def is_intact() -> bool:
            return self.datasets.get("first").sha256 == before and not self.datasets.check("first")

        return self._try(
            "dataset edit", lambda: self.datasets.apply_edits("first", Edits(answers={row.id: "another answer"})),
            is_intact, lambda: self.datasets.get("first").sha256 != before and not self.datasets.check("first"),
        )  # fmt: skip

    def index(self) -> Trial:
        runs = self.launcher.runs
        folder = self.workspace.output / "20260101-000000-noted"
        folder.mkdir()
        (folder / "spec.json").write_text(RunSpec(name="noted").model_dump_json())
        ended = ExitRecord(raw_status=0, exit_code=0, signal=None, duration_s=1, peak_memory_bytes=0, state="finished",
                           reason="", hint="", ended_at=1.0)  # fmt: skip
        (folder / "exit.json").write_text(ended.model_dump_json())
        (run_id,) = runs.rebuild()
        kept = [""]

        def act() -> None:
            notes = f"{len(kept)} {'x' * 5000}"
            runs.set_notes(run_id, notes)
            kept.append(notes)

        def is_whole() -> bool:
            with sqlite3.connect(self.workspace.database) as connection:
                is_sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return is_sound and runs.get(run_id).notes == kept[-1]

        return self._try("index", act, is_whole, is_whole)

    def events(self) -> Trial:
        path = self.workspace.root / "events.jsonl"
        writer, written = EventWriter(path), []

        def act() -> None:
            writer.write("metric", len(written), loss=1.0)
            written.append(len(written))

        def is_whole() -> bool:
            return [event.step for event in read_events(path).events] == written

        trial = self._try("events of a run", act, is_whole, is_whole)
        writer.close()
        path.unlink()
        return trial

    def reward(self) -> Trial:
        store, tried = RewardStore(self.workspace), ["0.0"]
        store.save("mine", REWARD.format("0.0"))

        def act() -> None:
            store.save("mine", REWARD.format(f"{len(tried)}.0"))
            tried.append(f"{len(tried)}.0")

        def is_whole() -> bool:
            return store.get("mine").text == REWARD.format(tried[-1])

        return self._try("reward", act, is_whole, is_whole)

    def kept_talk(self) -> Trial:
        store, place, kept = TalkStore(self.workspace), TalkPlace(new_id()), []
        record = TalkRecord(id=TalkId(place.id), begun_at=1.0, saved_at=1.0, settings=ChatSettings(), columns=())

        def act() -> None:
            turn = Message(role="user", content="What is it? " * 500)
            columns = (ColumnRecord(model="demo", turns=(turn,) * (len(kept) + 1), images=()),)
            store.save(place, record.model_copy(update={"columns": columns}))
            kept.append(columns)

        def is_whole() -> bool:
            found = store.find(record.id)
            return isinstance(found, TalkRecord) and found.columns == kept[-1]

        act()
        return self._try("kept conversation", act, is_whole, is_whole)

    def vote(self) -> Trial:
        store, kept = VoteStore(self.workspace), []
        record = BlindVoteRecord(id=VoteId(new_id()), begun_at=1.0, models=("demo", "other"), dataset="first",
                               questions=9, seed=1, settings=ChatSettings())  # fmt: skip
        store.begin(record)

        def act() -> None:
            session = store.find(record.id)
            line = VoteRecord(question=f"q{len(kept)}", order=(0, 1), vote="left", answers=("a", "b"), voted_at=1.0)
            store.add(session, line)
            kept.append(line)

        def is_whole() -> bool:
            return store.find(record.id).votes == tuple(kept)

        return self._try("blind vote", act, is_whole, is_whole)

    def audit(self) -> Trial:
        def act() -> None:
            audit(self.workspace, "measure.fill", "a disk")

        def whole_lines() -> int:
            return sum(_is_json(line) for line in all_lines(self.workspace.output / AUDIT))

        act()
        before = whole_lines()
        with self.disk.full():
            for _ in range(200):
                act()
            is_intact = whole_lines() >= before
        lasting = whole_lines()
        act()
        return Trial("audit", "", is_intact, whole_lines() == lasting + 1)

    def new_run(self) -> Trial:
        before = sorted(self.workspace.output.glob("2*"))
        started: list[str] = []

        def act() -> None:
            started.append(self.launcher.submit(plain(f"number {len(started)}")))

        def is_whole() -> bool:
            return sorted(self.workspace.output.glob("2*")) == before

        trial = self._try("a new run", act, is_whole, lambda: self.launcher.runs.get(started[-1]).is_active)
        self.launcher.stop(started[-1], "now")
        self.launcher.wait(started[-1])
        return trial

    def run_at_work(self) -> Trial:
        """The program's events and log, then its keeper's last word, for which there is room all the same."""
        run = self.launcher.runs.get(self.launcher.submit(plain("at work")))
        _until(lambda: run.folder.events.exists() and len(read_events(run.folder.events).events) > 5)
        self.disk.fill()
        process = json.loads(run.folder.process.read_text())["pid"]
        _until(lambda: not Path(f"/proc/{process}").exists())
        acknowledged = len(read_events(run.folder.events).events)
        _until(run.folder.exit.exists)
        self.disk.free()
        ended = self.launcher.wait(run.id)
        written = read_record(run.folder.exit, ExitRecord)
        is_intact = len(read_events(run.folder.events).events) == acknowledged and written is not None
        after = self.launcher.runs.get(self.launcher.submit(plain("afterwards")))
        self.launcher.stop(after.id, "now")
        message = f"{ended.state}: {ended.reason}"
        return Trial("a run at work", message, is_intact, self.launcher.wait(after.id).state == "stopped")

    def _try(self, writer: str, act: Callable, is_intact: Callable, is_done: Callable) -> Trial:
        message = ""
        with self.disk.full():
            try:
                for _ in range(TRIES):
                    act()
            except StudioError as error:
                message = f"{error.message}. {error.hint}"
            except OSError as error:
                message = error.strerror or str(error)
            intact = bool(is_intact())
        act()
        return Trial(writer, message, intact, bool(is_done()))

    def _is_swept(self) -> bool:
        return not any(self.workspace.staging.iterdir())

    def _upload(self, name: str) -> Path:
        """Rows whose images need more than the disk has left when it is full."""
        demo = replace(DEMO_DATASETS[0], rows=12, seed=random.Random(name).randrange(1000))
        write_rows(demo, self.uploads / name)
        return self.uploads / name


def on_a_small_disk(folder: Path, disk_mb: int = DISK_MB) -> list[Trial]:
    """Run this file in namespaces of its own, where `folder/disk` is a small tmpfs."""
    (folder / "disk").mkdir()
    mount = f'mount -t tmpfs -o size={disk_mb}m none "$1" && exec "$2" -m tests.faults.full_disk "$1"'
    argv = ["unshare", "-Urm", "sh", "-c", mount, "sh", str(folder / "disk"), sys.executable]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return [Trial(**json.loads(line)) for line in done.stdout.splitlines()]


def _is_json(line: bytes) -> bool:
    try:
        return bool(json.loads(line))
    except ValueError:
        return False


def _until(claim: Callable[[], object], patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.03)


def plain(name: str) -> RunSpec:
    """A run that needs no room for checkpoints: one that did would be refused before it meets the full disk."""
    return RunSpec(kind="evaluation", name=name)


def main() -> None:
    """Try every writer on the disk that is named."""
    trials = Trials(Path(sys.argv[1]))
    try:
        for trial in trials.all():
            print(json.dumps(asdict(trial)), flush=True)
    finally:
        trials.close()


if __name__ == "__main__":
    main()
