"""An import appears whole or not at all: killed, out of disk, cancelled, or twice at once."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from dataset_lab import asked, folder_of, image_bytes, many, parquet_of, tree, zip_of

from backend.datasets.problems import UploadRefused
from backend.datasets.staging import staging_folder, sweep_staging
from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import ROOT

IMPORT = """
import sys
from pathlib import Path
from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import Workspace
print("go", flush=True)
DatasetStore(Workspace(Path(sys.argv[1]))).import_dataset(Path(sys.argv[2]), ImportOptions(), None)
"""

IMPORT_AGAIN_AND_AGAIN = """
import os, sys
from pathlib import Path
from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import Workspace
for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            DatasetStore(Workspace(Path(sys.argv[1]))).import_dataset(Path(sys.argv[2]), ImportOptions(), None)
            os._exit(0)
        finally:
            os._exit(1)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Importers:
    """Processes that import the same, one after the other: children of one that has loaded what they need."""

    def __init__(self, workspace, source):
        argv = [sys.executable, "-c", IMPORT_AGAIN_AND_AGAIN, str(workspace.root), str(source)]
        self.parent = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self) -> int:
        """Its pid."""
        print(file=self.parent.stdin, flush=True)
        return int(self.parent.stdout.readline())

    def ended(self) -> int:
        """Its exit code."""
        return int(self.parent.stdout.readline())


def importer(workspace, source, before=""):
    argv = [sys.executable, "-c", before + IMPORT, str(workspace.root), str(source)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process):
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.decode()


def swept_within(workspace, seconds):
    """Sweep until nothing is left: a decoder may finish its image before it notices that its importer is gone."""
    deadline = time.monotonic() + seconds
    while list(workspace.staging.iterdir()):
        assert time.monotonic() < deadline
        sweep_staging(workspace)


def test_u18_killed_at_any_moment_an_import_is_whole_or_absent(workspace, store, tmp_path):
    importers = Importers(workspace, zip_of(tmp_path / "shapes.zip", many(60)))
    importers.start()
    started = time.monotonic()
    assert importers.ended() == 0
    duration = time.monotonic() - started
    whole = {name: content for name, content in tree(store.folder("shapes")).items() if name != "dataset.json"}
    store.delete("shapes")
    chance = random.Random(8)
    states = []

    for _ in range(20):
        pid = importers.start()
        time.sleep(chance.uniform(0, duration * 1.1))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        importers.ended()

        swept_within(workspace, 60)
        states.append(store.names())
        if store.names():
            found = tree(store.folder("shapes"))
            found.pop("dataset.json")
            assert found == whole
            assert store.check("shapes") == []
            store.delete("shapes")

    importers.parent.communicate()
    assert [] in states


def test_u18_a_living_importer_keeps_its_staging(workspace):
    code = (
        "import sys, time; from pathlib import Path; from backend.settings import Workspace\n"
        "from backend.datasets.staging import staging_folder\n"
        "with staging_folder(Workspace(Path(sys.argv[1]))): print('in', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], cwd=ROOT, stdout=subprocess.PIPE)
    process.stdout.readline()

    with staging_folder(workspace):
        assert sweep_staging(workspace) == 0
        assert len(list(workspace.staging.iterdir())) == 2
    process.kill()
    process.communicate()

    assert sweep_staging(workspace) == 1
    assert list(workspace.staging.iterdir()) == []


def test_u18_leavings_of_unknown_or_reused_pids_are_swept(workspace):
    with staging_folder(workspace) as mine:
        pid, ticks, boot, rest = mine.name.split("-")
        others = [
            "junk",
            "12-x-y-z",
            f"{pid}-{int(ticks) + 1}-{boot}-{rest}",
            f"{pid}-{ticks}-00000000-{rest}",
            f"999999999-1-{boot}-a",
        ]
        for name in others:
            folder_of(workspace.staging / name, {"images/a.png": b"x"})
        (workspace.staging / "file").write_text("x")
        (workspace.staging / "link").symlink_to(mine)

        assert sweep_staging(workspace) == 7
        assert list(workspace.staging.iterdir()) == [mine]


LIMIT = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))
"""


def test_d1_a_full_disk_is_a_message_and_leaves_nothing(workspace, store, tmp_path):
    files = {"a.bmp": image_bytes((700, 700), kind="BMP"), "data.json": [asked("a.bmp", answer="x" * 300_000)]}
    source = folder_of(tmp_path / "up", files)

    for size in (100_000, 1_000):
        code, errors = ended(importer(workspace, source, LIMIT.format(size)))

        assert code == 1
        assert "The disk is full" in errors
        assert "hint: Free some space" in errors
        assert list(workspace.staging.iterdir()) == []
        assert store.names() == []
    assert store.import_dataset(source, ImportOptions()).manifest.statistics.rows == 1


@pytest.mark.parametrize("question", ["x" * 300_000, "x"], ids=["rows", "an image"])
def test_d1_a_full_disk_is_a_message_where_a_table_is_unpacked_too(workspace, store, tmp_path, question):
    row = {"image": image_bytes((700, 700), kind="BMP"), "question": question, "answer": "A"}
    source = folder_of(tmp_path / "up", {"a.parquet": parquet_of([row])})

    code, errors = ended(importer(workspace, source, LIMIT.format(100_000)))

    assert code == 1
    assert "The disk is full" in errors
    assert list(workspace.staging.iterdir()) == []
    assert store.import_dataset(source, ImportOptions()).manifest.statistics.rows == 1


def test_d1_a_zip_that_cannot_fit_is_refused_before_it_is_unpacked(workspace, store, tmp_path, monkeypatch):
    monkeypatch.setattr("backend.datasets.archive.SPARE_DISK_BYTES", 1 << 60)
    before = tree(workspace.root)

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(zip_of(tmp_path / "up.zip", many(3)), ImportOptions())

    assert caught.value.code == "DISK_FULL"
    assert tree(workspace.root) == before


def test_of_two_imports_at_once_one_wins_and_both_report_it(workspace, store, tmp_path):
    source = zip_of(tmp_path / "shapes.zip", many(60))
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(store.import_dataset(source, ImportOptions()))) for _ in range(3)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(report.was_known for report in reports) == [False, True, True]
    assert len({report.manifest.created_at for report in reports}) == 1
    assert store.names() == ["shapes"]
    assert list(workspace.staging.iterdir()) == []


def test_different_uploads_for_one_name_at_once_give_one_dataset_and_one_error(store, tmp_path):
    sources = [
        folder_of(tmp_path / str(n), {"data.json": [asked("a.png", answer=str(n))], "a.png": image_bytes()})
        for n in range(2)
    ]
    ready = threading.Barrier(2)
    results = []

    def run(source: Path) -> None:
        ready.wait()
        try:
            results.append(store.import_dataset(source, ImportOptions(name="same")).was_known)
        except UploadRefused as error:
            results.append(error.code)

    threads = [threading.Thread(target=run, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(results) == {False, "NAME_TAKEN"}
    assert store.check("same") == []


def test_progress_goes_up_to_one_and_may_cancel(workspace, store, tmp_path):
    source = folder_of(tmp_path / "up", many(60))
    told = []

    store.import_dataset(source, ImportOptions(), lambda share, text: told.append((share, text)))

    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert "Checking images: 20 of 60" in [text for _, text in told]

    class CancelledError(Exception):
        pass

    def cancel(share: float, text: str) -> None:
        if share > 0.2:
            raise CancelledError

    with pytest.raises(CancelledError):
        store.import_dataset(source, ImportOptions(name="other"), cancel)
    assert list(workspace.staging.iterdir()) == []
    assert store.names() == ["up"]


def test_importing_needs_none_of_the_training_stack():
    code = (
        "import sys, backend.datasets.store\n"
        "heavy = {'torch', 'transformers', 'pyarrow', 'numpy', 'qwen_vl_utils'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_store_on_an_empty_workspace_has_no_datasets(tmp_path):
    from backend.settings import Workspace

    store = DatasetStore(Workspace(tmp_path / "new"))

    assert store.names() == []
    assert store.manifests() == []
    folder_of(tmp_path / "up", {"data.json": [asked(None, "Q")]})
    assert store.import_dataset(tmp_path / "up", ImportOptions()).manifest.name == "up"
