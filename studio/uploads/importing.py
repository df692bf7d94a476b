"""An import told step by step, which goes on to its end even if nobody listens any more."""

import contextlib
import contextvars
import queue
import threading
from collections.abc import Iterator

from backend.datasets.job import ImportOptions
from backend.datasets.records import Report
from backend.datasets.store import DatasetStore
from studio.uploads.staged_upload import StagedUpload

TOLD_EVERY_S = 0.2
Step = float | Report  # the share done, then what was done


def import_steps(store: DatasetStore, upload: StagedUpload, options: ImportOptions) -> Iterator[Step]:
    """Import on a thread of its own and tell how far it is; the upload is removed when it has been read.

    A visitor who leaves closes this iterator; the dataset appears all the same. Until its end the files belong to the
    import: who removes the upload meanwhile, or closes the page, takes no row away.

    Raises:
        StudioError: nothing was imported. The upload stays, so that another name or column can be tried.
        OSError: the upload is not there any more.
    """
    taken = upload.take()
    steps: queue.SimpleQueue[float | Report | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            report = store.import_dataset(taken.source, options, lambda share, _: steps.put(share))
            taken.remove()
            steps.put(report)
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            with contextlib.suppress(OSError):
                upload.give_back()
            steps.put(error)

    here = contextvars.copy_context()  # whose act it is goes with it
    threading.Thread(target=here.run, args=(work,), name="import", daemon=True).start()
    yield 0.0
    while True:
        step = _newest(steps)
        if isinstance(step, BaseException):
            raise step
        yield step
        if isinstance(step, Report):
            return


def _newest(steps: "queue.SimpleQueue[float | Report | BaseException]") -> float | Report | BaseException:
    """Wait for a step, then skip those that newer ones have passed."""
    step = steps.get()
    while isinstance(step, float):
        try:
            step = steps.get(timeout=TOLD_EVERY_S)
        except queue.Empty:
            return step
    return step
