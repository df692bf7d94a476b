"""One upload through the real import, and what must hold whatever it was."""

import json
from pathlib import Path

from fuzzing import nothing_changes, said_plainly

from backend.datasets.problems import CODES, UploadRefused
from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import Workspace


def imported(workspace: Workspace, name: str, content: bytes) -> bool:
    """Import an upload and let it go again; whatever came of it, the workspace is as it was, and all around it."""
    store, source = DatasetStore(workspace), workspace.root.parent / name
    source.write_bytes(content)
    report, said = None, ()
    with nothing_changes(workspace.root.parent, but=workspace.root), said_plainly():
        try:
            report = store.import_dataset(source, ImportOptions(name="fuzzed"))
        except UploadRefused as refusal:
            said = (refusal.code, *(problem.code for problem in refusal.problems))
            raise
        finally:
            assert set(said) <= CODES.keys()
        read_back(store, report.manifest.name, report.manifest.statistics.rows)
        store.delete(report.manifest.name)
    assert report or said
    assert leavings(workspace.root) == set()
    return report is not None


def read_back(store: DatasetStore, name: str, rows: int) -> None:
    found = list(store.rows(name))
    assert len(found) == rows > 0
    assert store.check(name) == []
    assert [row.id for row in store.page(name, count=60).rows] == [row.id for row in found[:60]]
    json.loads((store.folder(name) / "data.json").read_bytes())


def leavings(root: Path) -> set[str]:
    """What lies in a workspace beside its folders."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.parent.name == "data"
            } - {"data/.staging", "output/audit.jsonl"}  # fmt: skip
