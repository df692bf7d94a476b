"""A program: cut a change off at every step it takes on the disk, each time on a fresh copy, and check what is left.

`python cut_off.py ROOT ACT HOW`: `ROOT/base` is a workspace; HOW is `kill` (the process ends there) or `fail` (the disk
refuses that step). Prints how often the former and the new state were found. A failed assertion ends it.
"""

import contextlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.datasets.editing import Edits, finish_change
from backend.datasets.rows_file import digest_of
from backend.datasets.staging import sweep_staging
from backend.datasets.store import DatasetStore
from backend.errors import DatasetError, StudioError
from backend.settings import Workspace
from tests.disk_steps import DONE, KILLED, OUTLIVED, REFUSED, DiskSteps, in_child

ROOMS = {".lock", "data.index", "data.json", "dataset.json", "images", "problems.jsonl", "versions"}


def edit(store: DatasetStore) -> None:
    first, second, *_ = store.rows("rows")
    store.apply_edits("rows", Edits({first.id: "A much longer answer than before"}, frozenset({second.id})))


def restore(store: DatasetStore) -> None:
    store.restore("rows", store.versions("rows")[-1].sha256)


def copy(store: DatasetStore) -> None:
    store.copy_rows("images", [row.id for row in store.rows("images")], "hard")


ACTS: dict[str, Callable[[DatasetStore], None]] = {"edit": edit, "restore": restore, "copy": copy}


def state(store: DatasetStore) -> dict[str, Any]:
    """What readers find: the rows of each dataset, by every way there is, and of each of its versions."""
    found = {}
    for name in store.names():
        manifest, rows = store.get(name), [row.model_dump() for row in store.rows(name)]
        pages = [row.model_dump() for start in (0, 2) for row in store.page(name, start=start, count=2).rows]
        versions = {v.sha256: [row.model_dump() for row in store.rows(name, sha256=v.sha256)]
                    for v in store.versions(name)}  # fmt: skip
        assert pages == rows[:4]
        assert versions[manifest.sha256] == rows
        assert manifest.statistics.rows == len(rows)
        assert all((store.folder(name) / image).stat().st_size for row in rows for image in row["images"])
        assert json.loads((store.folder(name) / "data.json").read_bytes())  # one version or the other, but whole
        found[name] = versions | {"current": manifest.sha256}
    return found


def check_finished(workspace: Workspace) -> None:
    """After the next who comes has cleared up, the plain files are those of the manifest, and nothing else is there."""
    sweep_staging(workspace)
    assert list(workspace.staging.iterdir()) == []
    store = DatasetStore(workspace)
    for name in store.names():
        finish_change(workspace, name)
        folder, manifest = store.folder(name), store.get(name)
        assert digest_of(folder / "data.json") == manifest.sha256
        assert {path.name for path in folder.iterdir()} <= ROOMS
        if (folder / "versions").is_dir():
            known = {version.sha256 for version in store.versions(name)}
            assert {path.name.partition(".")[0] for path in (folder / "versions").iterdir()} <= known
            index = folder / "versions" / f"{manifest.sha256}.index"
            assert not index.is_file() or (folder / "data.index").read_bytes() == index.read_bytes()


def cut_off(steps: DiskSteps, workspace: Workspace, act: Callable[[DatasetStore], None], number: int, how: str) -> int:
    """Run the act in a process of its own, cut off at its `number`-th step; how that ended."""

    def armed() -> None:
        store = DatasetStore(workspace)
        with contextlib.suppress(StudioError):
            store.get("nothing")  # whatever is imported on use is imported now
        steps.arm(workspace.root, number, how)
        act(store)

    return in_child(steps, armed, DatasetError)


def main(root: Path, name: str, how: str) -> None:
    """Go through all steps."""
    steps, act, ends = DiskSteps(), ACTS[name], Counter[str]()
    former = state(DatasetStore(Workspace(root / "base")))
    shutil.copytree(root / "base", root / "whole")
    act(DatasetStore(Workspace(root / "whole")))
    new = state(DatasetStore(Workspace(root / "whole")))
    assert former != new
    for number in range(1, 1_000):
        workspace = Workspace(root / f"{how}-{number}")
        shutil.copytree(root / "base", workspace.root)
        code = cut_off(steps, workspace, act, number, how)
        found = state(DatasetStore(workspace))
        assert found in (former, new), (number, code)
        assert code in (KILLED, REFUSED, DONE, OUTLIVED), (number, code)
        if code != KILLED:  # what the caller is told is what happened
            assert (code == REFUSED) == (found == former), (number, code)
        check_finished(workspace)
        assert state(DatasetStore(workspace)) == found
        if found == former:
            act(DatasetStore(workspace))
            assert state(DatasetStore(workspace)) == new
        shutil.rmtree(workspace.root)
        if code == OUTLIVED:
            break
        ends["former" if found == former else "new"] += 1
    print(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
