"""From the files a browser sent to a dataset: staged, imported step by step, to its end even if nobody listens."""

import contextlib
import contextvars
import os
import queue
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.records import ImportReport
from backend.datasets.staging import ImportOptions
from backend.datasets.store import DatasetStore
from backend.datasets.upload import ANNOTATIONS
from backend.errors import DatasetError
from backend.ids import slug
from backend.settings import Workspace
from studio.ui.i18n import Translate

MAX_FILES = 20_000
REPORT_EVERY_S = 0.2
ImportStep = float | ImportReport  # the share done, then what was done


@dataclass(frozen=True, slots=True)
class StagedUpload:
    """Files gathered in a folder of their own, under the names the person gave them."""

    folder: Path

    @property
    def source(self) -> Path:
        """What to hand to the store: the one file, or the folder of several."""
        files = list(self.folder.iterdir())
        return files[0] if len(files) == 1 else self.folder

    @property
    def suggested_name(self) -> str:
        """What the dataset may be called: as its zip, or as its first table, in letters that a name may have."""
        files = sorted(self.folder.iterdir())
        tables = [path for path in files if path.suffix.lower() in (*ANNOTATIONS, ".zip")]
        return slug((tables or files)[0].stem, fallback="dataset")

    @property
    def is_here(self) -> bool:
        """Whether it can be read: it was neither removed nor taken."""
        return self.folder.is_dir()

    @property
    def is_taken(self) -> bool:
        """Whether an import is reading it."""
        return self._apart.is_dir()

    def take(self) -> "StagedUpload":
        """Move it to where `remove` of this one does not reach: it belongs to whoever took it. Raises OSError."""
        self.folder.rename(self._apart)
        os.utime(self._apart)  # a day old is not what somebody reads
        return StagedUpload(self._apart)

    def give_back(self) -> None:
        """Move it back, to be tried again. Raises OSError."""
        self._apart.rename(self.folder)

    def remove(self) -> None:
        """Delete it; nothing happens where it is gone or taken."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _apart(self) -> Path:
        return self.folder.with_name(f"importing-{self.folder.name.removeprefix('import-')}")


def stage(workspace: Workspace, paths: list[str], t: Translate) -> StagedUpload:
    """Gather the files of one upload, without copying them.

    Args:
        workspace: whose uploads folder holds the files.
        paths: their paths, which Gradio has found to lie in that folder.
        t: of the page that is told what is wrong.

    Raises:
        DatasetError: two of them have the same name, or there are too many.
    """
    if len(paths) > MAX_FILES:
        raise DatasetError(t("upload.too_many", count=f"{len(paths):,}"), hint=t("upload.too_many.hint"))
    folder = workspace.uploads / f"import-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    for path in map(Path, paths):
        try:
            os.link(path, folder / path.name)
        except FileExistsError as error:
            shutil.rmtree(folder)
            raise DatasetError(t("upload.same_name", name=path.name), hint=t("upload.same_name.hint")) from error
    return StagedUpload(folder)


def import_steps(store: DatasetStore, upload: StagedUpload, options: ImportOptions) -> Iterator[ImportStep]:
    """Import on a thread of its own and tell how far it is; the upload is removed when it has been read.

    A visitor who leaves closes this iterator; the dataset appears all the same. Until its end the files belong to the
    import: who removes the upload meanwhile, or closes the page, takes no row away.

    Raises:
        StudioError: nothing was imported. The upload stays, so that another name or column can be tried.
        OSError: the upload is not there any more.
    """
    in_import = upload.take()
    steps: queue.SimpleQueue[float | ImportReport | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            report = store.import_dataset(in_import.source, options, lambda share, _: steps.put(share))
            in_import.remove()
            steps.put(report)
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            with contextlib.suppress(OSError):
                upload.give_back()
            steps.put(error)

    context = contextvars.copy_context()  # whose act it is goes with it
    threading.Thread(target=context.run, args=(work,), name="import", daemon=True).start()
    yield 0.0
    while True:
        step = _newest(steps)
        if isinstance(step, BaseException):
            raise step
        yield step
        if isinstance(step, ImportReport):
            return


def _newest(steps: "queue.SimpleQueue[float | ImportReport | BaseException]") -> float | ImportReport | BaseException:
    """Wait for a step, then skip those that newer ones have passed."""
    step = steps.get()
    while isinstance(step, float):
        try:
            step = steps.get(timeout=REPORT_EVERY_S)
        except queue.Empty:
            return step
    return step
